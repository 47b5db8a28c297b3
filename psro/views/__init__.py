"""Tables, figures and pages that show runs."""
