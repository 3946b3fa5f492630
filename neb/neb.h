// The library in one include: energies, layers, training, walking and jumping, and the engine beneath.
#ifndef NEB_NEB_NEB_H_
#define NEB_NEB_NEB_H_

#include "autodiff/autodiff.h"      // IWYU pragma: export
#include "neb/attractors.h"         // IWYU pragma: export
#include "neb/chain_diagnostics.h"  // IWYU pragma: export
#include "neb/checkpoint.h"         // IWYU pragma: export
#include "neb/clamp.h"              // IWYU pragma: export
#include "neb/energies.h"           // IWYU pragma: export
#include "neb/energy.h"             // IWYU pragma: export
#include "neb/energy_spec.h"        // IWYU pragma: export
#include "neb/fitted_energies.h"    // IWYU pragma: export
#include "neb/landscape.h"          // IWYU pragma: export
#include "neb/layers.h"             // IWYU pragma: export
#include "neb/measure_loss.h"       // IWYU pragma: export
#include "neb/measurements.h"       // IWYU pragma: export
#include "neb/model.h"              // IWYU pragma: export
#include "neb/nearest_labels.h"     // IWYU pragma: export
#include "neb/nebula.h"             // IWYU pragma: export
#include "neb/optimizer.h"          // IWYU pragma: export
#include "neb/residual_denoiser.h"  // IWYU pragma: export
#include "neb/sample_quality.h"     // IWYU pragma: export
#include "neb/scales.h"             // IWYU pragma: export
#include "neb/stability.h"          // IWYU pragma: export
#include "neb/stream_trajectory.h"  // IWYU pragma: export
#include "neb/trainer.h"            // IWYU pragma: export
#include "neb/trajectory.h"         // IWYU pragma: export
#include "neb/walk.h"               // IWYU pragma: export

#endif  // NEB_NEB_NEB_H_
