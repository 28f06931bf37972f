"""Published architectures that PyTorch can build, one module each; `engines.random_weights` and `engines.torch_converted` find them
by name.

A module has ``network()``, the `torch.nn.Module` at its full size; ``forward(network, …)``, one call of it, which names the outputs;
and ``example()``, the tensors of one call. Inputs and outputs are those of the published file, so that the same code runs on either.
It may have ``shapes()``, the sizes of the inputs where they are not the example's (-1: left open), and ``renamed(name)``, what a
tensor of the published file is called in the network (None: it is not used there). All import PyTorch themselves."""
