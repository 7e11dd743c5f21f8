"""What does a command of the user's own say?"""
