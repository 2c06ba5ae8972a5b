"""Whether an installed querist imports, scores and picks."""

import numpy as np
import querist as qr

proba = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.75, 0.25, 0.0]], np.float32)
np.testing.assert_array_equal(qr.margin(proba), np.array([0.0, 1.0, 0.5], np.float32))
np.testing.assert_array_equal(qr.top_scores(proba, 2, score="entropy").indices, [1, 2])
np.testing.assert_array_equal(qr.select.k_center(proba, 1, labeled=[0]).indices, [1])
print(qr.show_config())
