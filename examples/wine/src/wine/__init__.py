"""How good will tasters find a white wine?"""
