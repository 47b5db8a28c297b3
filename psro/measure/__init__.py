"""What is measured of trained populations, alone and against each other."""
