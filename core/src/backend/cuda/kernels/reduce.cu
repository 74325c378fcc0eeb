// Reductions of tensors along an axis, and running sums, for one element type: -DT as in tensor.cu.
