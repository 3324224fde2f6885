from keras_slashed import ops
