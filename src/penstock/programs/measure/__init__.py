"""How good are predictions, and how sure is that?"""

import os

# The work is spread over the cores by rows and draws; a BLAS that did so again would only be in the way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
