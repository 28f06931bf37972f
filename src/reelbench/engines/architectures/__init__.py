"""Published architectures that can be built without their weights, one module each; `engines.random_weights` finds them by name.

A module has ``network()``, the `torch.nn.Module` at its full size; ``forward(network, …)``, one call of it, which names the outputs;
and ``example()``, the tensors of one call. Inputs and outputs are those of the published file, so that the same code runs on either.
All import PyTorch themselves."""
