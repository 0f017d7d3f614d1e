"""
Tests of enrolment.
"""
