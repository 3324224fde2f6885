"""The checks of every change, each in a separate environment: `nox`, or `nox -s lint`.

`nox -s nightly` runs all tests, also those that they leave out, and
`nox -s "tests(jax)" -- tests/keras_slashed/ops/test_stdplus.py` runs some tests on one backend.
"""

import os
import pathlib
import shutil
import zipfile

import nox

nox.options.default_venv_backend = "venv"
# Containers often set it. Each new process would compile TensorFlow's modules again, 12 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The environment of each backend contains only that backend, so that an accidental import of
# another one fails, and the package that Keras needs for export to ONNX.
BACKENDS = {
    "tensorflow": [".[tensorflow-cpu,applications,test]", "tensorboard", "tf2onnx"],
    "jax": [".[jax,test]"],
    "torch": [".[torch,test]", "onnxscript"],
}
# tf_keras would install the large `tensorflow` next to `tensorflow-cpu`, and tensorflow_hub imports
# pkg_resources, which newer versions of setuptools lack.
WITHOUT_DEPENDENCIES = {"tensorflow": ["tensorflow_hub", "tf_keras", "setuptools<81"]}
# XLA's older code generator takes half the time to compile the small programs of tests. JAX runs
# the folders of AS_USERS by day as users do. Remove both if a newer JAX says "Unknown flag".
OLDER_GENERATOR = {"XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false"}
AS_USERS = ["tests/keras_slashed/ops", "tests/keras_slashed/rates"]
OLDEST = ["keras==3.12.0"]  # that pyproject.toml allows
OLDEST_BY_DAY = ["callbacks", "keras_faults", "layers", "saving"]  # folders of tests
# Exports are tested only with the newest Keras. 3.12 fixes the batch size of an ONNX file at 1 on
# PyTorch.
NOT_WITH_OLDEST = ["-k", "not test_export"]


@nox.session
def lint(session):
    """Check style and formatting."""
    _install(session, "ruff==0.17.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
@nox.parametrize("backend", list(BACKENDS), ids=list(BACKENDS))
def tests(session, backend):
    """Run the tests on one backend, and the experiments that have its mark."""
    _set_up(session, backend)
    chosen, variables = ["-m", "not nightly"], {}
    if backend == "jax" and not session.posargs:
        _pytest(session, backend, [*chosen, *AS_USERS])
        chosen += [f"--ignore={folder}" for folder in AS_USERS]
        variables = OLDER_GENERATOR
    _pytest(session, backend, chosen, variables)


@nox.session
def oldest(session):
    """Run the tests that lean most on Keras with the oldest version of it."""
    chosen = ["-m", "not nightly", *(f"tests/keras_slashed/{folder}" for folder in OLDEST_BY_DAY)]
    _set_up(session, "torch", *OLDEST)
    _pytest(session, "torch", chosen)


NIGHTS = [*BACKENDS, "oldest", "export"]


@nox.session(default=False)
@nox.parametrize("environment", NIGHTS, ids=NIGHTS)
def nightly(session, environment):
    """Run every test, with more random cases and kills, compiled as users compile it.

    "export" exports from JAX, for which Keras also needs TensorFlow.
    """
    more = {"KERAS_SLASHED_CASES": "nightly", "KERAS_SLASHED_KILLS": "20"}
    if environment == "oldest":
        _set_up(session, "torch", *OLDEST)
        _pytest(session, "torch", NOT_WITH_OLDEST, more)
    elif environment == "export":
        _set_up(session, "jax", "tensorflow-cpu", "jax2onnx")
        _pytest(session, "jax", ["-k", "test_export"])
    else:
        _set_up(session, environment)
        _pytest(session, environment, [], more)


def _install(session, *arguments):
    """Install packages, and leave it to Python to compile the modules that it imports.

    For JAX and the test extra, pip takes 19 s of processor time instead of 49 s.
    """
    session.install("--no-compile", *arguments)


def _set_up(session, backend, *requirements):
    """Install the checkout with one backend, and further packages."""
    if backend == "torch":
        # With its version and first, because `torch` alone may install gigabytes of CUDA.
        _install(session, "torch==2.13.0")
    _install(session, "--editable", *BACKENDS[backend], *requirements)
    if backend in WITHOUT_DEPENDENCIES:
        _install(session, "--no-deps", *WITHOUT_DEPENDENCIES[backend])


def _pytest(session, backend, chosen, variables=None):
    """Run the tests that options choose, or those of the command line."""
    # One thread per process. On small tensors, two processes of PyTorch with two threads each
    # spend ten times as long waiting for one another.
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    if backend == "jax":
        # Processes and later sessions share what they compile: some tests took 48 s of processor
        # time without a cache, 41 s with an empty one, and 20 s with a full one.
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(session.cache_dir.resolve() / "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    # Each file runs in one process, so that its fixtures and compilations are made only once. In
    # the order of the folders, because pytest-xdist would leave the files with the fewest tests
    # for the end, which are the longest, and one process would wait for the other.
    options = ["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]
    options += ["--durations=10", *chosen]
    session.run("pytest", *(session.posargs or options), env=environment | (variables or {}))


@nox.session
def docs(session):
    """Build the site in docs/_build/html, with warnings as errors; it executes no notebook."""
    _install(session, "--editable", ".[jax,docs]")
    shutil.rmtree("docs/_build", ignore_errors=True)
    shutil.rmtree("docs/api", ignore_errors=True)
    session.run(
        *("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html"),
        env={"KERAS_BACKEND": "jax"},
    )


@nox.session
def wheel(session):
    """Build the wheel, inspect it, install it in a bare environment, and import it."""
    folder = session.create_tmp()
    for old in pathlib.Path(folder).glob("*.whl"):
        old.unlink()
    _install(session, "build")
    session.run("python", "-m", "build", "--wheel", "--outdir", folder, ".")
    (path,) = pathlib.Path(folder).glob("*.whl")
    packages = {name.split("/")[0] for name in zipfile.ZipFile(path).namelist()}
    strangers = {name for name in packages - {"keras_slashed"} if not name.endswith(".dist-info")}
    if strangers:
        session.error(f"the wheel contains more than keras_slashed: {sorted(strangers)}")
    _install(session, f"{path}[jax]")
    session.chdir(folder)  # because the checkout would be imported instead of the wheel
    use = "import keras_slashed as ks; print(ks.layers.FixedRateVIB(2.3), ks.__file__)"
    session.run("python", "-c", use, env={"KERAS_BACKEND": "jax"})
