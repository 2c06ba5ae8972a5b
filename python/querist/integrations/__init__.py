"""Drop-ins: the names of other packages, computed by querist.

`querist.integrations.modal` and `querist.integrations.skactiveml` have functions of modAL and scikit-activeml
by their own names and signatures. To change over, change the import. Neither needs the other package.
"""
