"""The loop of PSRO, and who carries out what it asks for."""
