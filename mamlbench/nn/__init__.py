"""Networks: layers, batch norm and its modes, the functional model, gradients, optimizers, dropout.

``model.py`` has the network as a pure function of its parameters, ``batch_norm.py`` the statistics that each evaluation
mode normalizes with, ``gradients.py`` the gradients that methods take. ``fusion.py`` replaces plain layers of a built
network by those of ``fast_layers.py``, behind which ``kernels`` is compiled code.
"""
