//go:build !amd64

package encoder

// fast is never true where there are no kernels.
var fast = false

func multiply(t *tile, a []int16, stride int, panel []byte, pairs int) {
	multiplyPlain(t, a, stride, panel, pairs)
}

func narrow(dst []int16, stride int, t *tile, f *factors, s *scaling, low, high float32) {
	narrowPlain(dst, stride, t, f, s, low, high)
}

func add(x []float32, stride int, t *tile, s *scaling) { addPlain(x, stride, t, s) }

func squares(x *[width]float32) [8]float32 { return squaresPlain(x) }

func round(dst *[width]int16, x *[width]float32, factor float32) { roundPlain(dst, x, factor) }
