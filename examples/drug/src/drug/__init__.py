"""Which of five drugs was a patient prescribed?"""
