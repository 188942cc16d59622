package encoder

// fast says whether this processor has what the kernels in assembler need.
var fast = hasAVX2()

// hasAVX2 says whether the processor has AVX2 and the system keeps its registers.
func hasAVX2() bool {
	const (
		avxAndXsave = 1<<28 | 1<<27 // leaf 1, ECX
		avx2        = 1 << 5        // leaf 7, EBX
		wideState   = 1<<1 | 1<<2   // XCR0: SSE and AVX registers
	)
	if most, _, _, _ := cpuid(0, 0); most < 7 {
		return false
	}
	if _, _, c, _ := cpuid(1, 0); c&avxAndXsave != avxAndXsave || xgetbv()&wideState != wideState {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&avx2 != 0
}

func cpuid(leaf, sub uint32) (a, b, c, d uint32)
func xgetbv() uint32

//go:noescape
func multiplyAVX2(t *tile, a *int16, stride int, panel *byte, pairs int)

//go:noescape
func narrowAVX2(dst *int16, stride int, t *tile, f *factors, s *scaling, low, high float32)

//go:noescape
func addAVX2(x *float32, stride int, t *tile, s *scaling)

//go:noescape
func squaresAVX2(x *[width]float32, sums *[8]float32)

//go:noescape
func roundAVX2(dst *[width]int16, x *[width]float32, factor float32)

func multiply(t *tile, a []int16, stride int, panel []byte, pairs int) {
	if !fast {
		multiplyPlain(t, a, stride, panel, pairs)
		return
	}
	_, _ = a[(tileRows-1)*stride+2*pairs-1], panel[pairs*2*tileColumns-1] // the kernel checks nothing
	multiplyAVX2(t, &a[0], stride, &panel[0], pairs)
}

func narrow(dst []int16, stride int, t *tile, f *factors, s *scaling, low, high float32) {
	if !fast {
		narrowPlain(dst, stride, t, f, s, low, high)
		return
	}
	_ = dst[(tileRows-1)*stride+tileColumns-1]
	narrowAVX2(&dst[0], stride, t, f, s, low, high)
}

func add(x []float32, stride int, t *tile, s *scaling) {
	if !fast {
		addPlain(x, stride, t, s)
		return
	}
	_ = x[(tileRows-1)*stride+tileColumns-1]
	addAVX2(&x[0], stride, t, s)
}

func squares(x *[width]float32) (sums [8]float32) {
	if !fast {
		return squaresPlain(x)
	}
	squaresAVX2(x, &sums)
	return sums
}

func round(dst *[width]int16, x *[width]float32, factor float32) {
	if !fast {
		roundPlain(dst, x, factor)
		return
	}
	roundAVX2(dst, x, factor)
}
