"""The independent reference: NumPy and SciPy on explicit matrices. It shares no code with the rest of the package."""
