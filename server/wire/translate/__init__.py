"""Between dialects: a request as its model's provider takes it, and the answer as its caller understands it."""
