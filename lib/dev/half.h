/* half.h - floats of 16 and of 4 bits, by the name that this layer's files know. */
#ifndef DEV_HALF_H
#define DEV_HALF_H

#include "base/half.h"

#endif
