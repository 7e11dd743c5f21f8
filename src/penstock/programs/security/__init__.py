"""Looks for secrets, known vulnerabilities, risky code, pickles and what is not pinned; `uses: security`."""
