"""The Gradio demo: predicted and true boxes over the playing video."""
