"""Does training again give the same?"""
