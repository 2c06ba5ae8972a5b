//! `querist._core`: the door between Python and `querist-core`.
//!
//! Conversion, the GIL, signals and errors; no arithmetic. Every function converts its arguments ([`arguments`],
//! [`arrays`]), and goes through one door ([`call`]): detach, blocks, signals and deadline, errors, panics.

use pyo3::prelude::*;

mod arguments;
mod call;
mod capi;
mod change;
mod committee;
mod density;
mod diverse;
mod matrix;
mod score;
mod select;
mod settings;

/// The compiled part of querist. Private: use the functions of the package.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::change::{expected_gradient_length, gram, variance_reduction, variance_reduction_picks};
    #[pymodule_export]
    use super::committee::{committee, ensemble_variance, vote_scores, votes};
    #[pymodule_export]
    use super::density::{knn_density, linear_density, pairwise_density, products, spread};
    #[pymodule_export]
    use super::diverse::{KCenter, badge, directions, facility_location, k_means_pp, nearest, relevant};
    #[pymodule_export]
    use super::score::{score, scores, top_scores};
    #[pymodule_export]
    use super::select::{power, quantile_filter, top_k};
    #[pymodule_export]
    use super::settings::{get_num_threads, set_num_threads, simd_level};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::settings::read_level()?;
        super::arguments::fill_cells(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
