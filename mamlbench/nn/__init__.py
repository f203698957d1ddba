"""Networks: layers, the functional model, gradients, optimizers, and the compiled kernels behind them."""
