"""Steps that several actions share. An action never calls another; both call these."""
