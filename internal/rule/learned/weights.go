package learned

import _ "embed"

// weightsFile holds one byte for each feature: its weight, in two's complement, to be
// multiplied by weightScale. It is used in place.
//
//go:embed weights.bin
var weightsFile string
