"""What is in these files? Inference with the model inside the ``magika`` package, over a folder, under a budget."""
