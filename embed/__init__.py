"""Images to features: list, plan, decode once, view, run the frozen trunk."""
