"""How fast, how large and how hungry is a trained model on this machine?"""
