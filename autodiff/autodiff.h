// The engine in one include: record (tape.h, ops.h), differentiate (grad.h), compile and replay (program.h).
#ifndef NEB_AUTODIFF_AUTODIFF_H_
#define NEB_AUTODIFF_AUTODIFF_H_

#include "autodiff/grad.h"     // IWYU pragma: export
#include "autodiff/ops.h"      // IWYU pragma: export
#include "autodiff/params.h"   // IWYU pragma: export
#include "autodiff/program.h"  // IWYU pragma: export
#include "autodiff/tape.h"     // IWYU pragma: export
#include "autodiff/tensor.h"   // IWYU pragma: export

#endif  // NEB_AUTODIFF_AUTODIFF_H_
