"""Networks: layers, batch norm and its modes, the functional model, gradients, optimizers, dropout.

``model.py`` has the network as a pure function of its parameters, ``batch_norm.py`` the statistics that each evaluation
mode normalizes with, ``gradients.py`` the gradients that methods take. ``kernels`` is compiled code behind the layers.
"""
