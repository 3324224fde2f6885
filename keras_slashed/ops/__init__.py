from keras_slashed.ops.stdplus import log_stdplus
from keras_slashed.ops.stdplus import stdplus
from keras_slashed.ops.stdplus import stdplus_inverse
