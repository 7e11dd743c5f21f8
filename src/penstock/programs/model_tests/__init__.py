"""Does a trained model do what any model of these rows must do?"""
