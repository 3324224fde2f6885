"""The checks of a day, each in an environment of its own: `nox`, or `nox -s lint`.

`nox -s nightly` runs what they leave out, and
`nox -s "tests(jax)" -- tests/keras_slashed/ops/test_stdplus.py` some tests on one backend.
"""

import pathlib
import shutil
import zipfile

import nox

nox.options.default_venv_backend = "venv"

# What each backend's environment holds beside keras: that backend alone, so
# that a stray import of another fails, and what Keras exports to ONNX with.
BACKENDS = {
    "tensorflow": [".[tensorflow-cpu,applications,test]", "tensorboard", "tf2onnx"],
    "jax": [".[jax,test]"],
    "torch": [".[torch,test]", "onnxscript"],
}
OLDEST = ["keras==3.12.0"]  # that pyproject.toml allows
# Exports are those of the newest: 3.12 fixes the batch of an ONNX file at 1 on PyTorch.
NOT_WITH_OLDEST = ["-k", "not test_export"]


@nox.session
def lint(session):
    """Check style and formatting."""
    session.install("ruff==0.17.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
@nox.parametrize("backend", list(BACKENDS), ids=list(BACKENDS))
def tests(session, backend):
    """Run the tests on one backend, and the experiments that are its share."""
    _test(session, backend, chosen=["-m", "not nightly"])


@nox.session
def oldest(session):
    """Run the tests, but no experiments, with the oldest Keras."""
    _test(session, "torch", OLDEST, ["-m", "not nightly and not experiment", *NOT_WITH_OLDEST])


@nox.session(default=False)
@nox.parametrize("environment", [*BACKENDS, "oldest"], ids=[*BACKENDS, "oldest"])
def nightly(session, environment):
    """Run what the other sessions leave out, and more random cases and kills than they do."""
    more = {"KERAS_SLASHED_CASES": "nightly", "KERAS_SLASHED_KILLS": "20"}
    if environment == "oldest":
        chosen = ["-m", "nightly or experiment or scaled", *NOT_WITH_OLDEST]
        _test(session, "torch", OLDEST, chosen, more)
    else:
        _test(session, environment, chosen=["-m", "nightly or scaled"], variables=more)


@nox.session
def export(session):
    """Export from JAX, for which Keras needs TensorFlow beside it."""
    _test(session, "jax", ["tensorflow-cpu", "jax2onnx"], ["-k", "test_export"])


@nox.session
def hub(session):
    """Load and train reusable SavedModels with TensorFlow Hub."""
    session.install("--editable", ".[tensorflow-cpu]", "pytest")
    # tf_keras requires the large `tensorflow` beside `tensorflow-cpu`, and tensorflow_hub
    # imports pkg_resources, which newer setuptools lack.
    session.install("--no-deps", "tf_keras", "tensorflow_hub", "setuptools<81")
    # Where these are missing the tests are skipped: here they must not be.
    environment = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    session.run("python", "-c", "import tensorflow_hub, tf_keras", env=environment)
    session.run(
        "pytest",
        *(session.posargs or ["tests/keras_slashed/export/test_tensorflow_hub.py"]),
        env=environment,
    )


def _test(session, backend, requirements=(), chosen=(), variables=None):
    if backend == "torch":
        # By name and first: a bare `torch` may bring gigabytes of CUDA.
        session.install("torch==2.13.0")
    session.install("--editable", *BACKENDS[backend], *requirements)
    # One thread a process: two processes of PyTorch with two threads each, on small
    # tensors, spend ten times the time waiting for one another.
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    if backend == "jax":
        # What one process compiled another loads, which spares some 30 % of the processor time.
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(pathlib.Path(session.virtualenv.location, "compiled")),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    # Each file in one process: its fixtures are made once, and what it compiled serves it all.
    options = ["--numprocesses=2", "--dist=loadfile", "--durations=10", *chosen]
    session.run("pytest", *(session.posargs or options), env=environment | (variables or {}))


@nox.session
def docs(session):
    """Build the site in docs/_build/html, with warnings as errors; it executes no notebook."""
    session.install("--editable", ".[jax,docs]")
    shutil.rmtree("docs/_build", ignore_errors=True)
    shutil.rmtree("docs/api", ignore_errors=True)
    session.run(
        *("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html"),
        env={"KERAS_BACKEND": "jax"},
    )


@nox.session
def wheel(session):
    """Build the wheel, look into it, install it in a bare environment, import it."""
    folder = session.create_tmp()
    for old in pathlib.Path(folder).glob("*.whl"):
        old.unlink()
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", folder, ".")
    (path,) = pathlib.Path(folder).glob("*.whl")
    packages = {name.split("/")[0] for name in zipfile.ZipFile(path).namelist()}
    strangers = {name for name in packages - {"keras_slashed"} if not name.endswith(".dist-info")}
    if strangers:
        session.error(f"the wheel holds more than keras_slashed: {sorted(strangers)}")
    session.install(f"{path}[jax]")
    session.chdir(folder)  # away from the checkout, which would be imported instead
    use = "import keras_slashed as ks; print(ks.layers.FixedRateVIB(2.3), ks.__file__)"
    session.run("python", "-c", use, env={"KERAS_BACKEND": "jax"})
