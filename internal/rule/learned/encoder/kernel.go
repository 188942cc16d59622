package encoder

import "math"

// A tile is the unit of all products of matrices: tileRows rows of the left matrix
// times one panel, which is tileColumns columns of the right one.
//
// A panel holds its columns in pairs of rows: for each pair the two values of the
// first column, then those of the second. One instruction multiplies such pairs and
// adds them up.
const (
	tileRows    = 4
	tileColumns = 16
)

type tile [tileRows * tileColumns]int32

// The functions below run where there are no kernels in assembler, which give the same
// bits. Conversions to float32 stand where a compiler may otherwise fuse a product with
// a sum and round once instead of twice.

// multiplyPlain fills a tile with rows of a, stride values apart, times a panel of so
// many pairs. The sums cannot overflow: a row has at most maxHidden values, and that
// many products of an int16 and an int8 fit an int32.
//
// Two columns share each multiplication, one in the upper half of 64 bits. What the
// lower sum borrows from the upper one is given back in the end.
func multiplyPlain(t *tile, a []int16, stride int, panel []byte, pairs int) {
	const half = tileColumns / 2
	r0, r1 := a[:2*pairs], a[stride:][:2*pairs]
	r2, r3 := a[2*stride:][:2*pairs], a[3*stride:][:2*pairs]
	for c := range half {
		var s0, s1, s2, s3 int64
		for i, rest := 0, panel; i+1 < len(r0); i, rest = i+2, rest[2*tileColumns:] {
			w := rest[2*c : 2*c+2*half+2 : 2*tileColumns]
			left := int64(int8(w[0])) + int64(int8(w[2*half]))<<32
			right := int64(int8(w[1])) + int64(int8(w[2*half+1]))<<32
			s0 += int64(r0[i])*left + int64(r0[i+1])*right
			s1 += int64(r1[i])*left + int64(r1[i+1])*right
			s2 += int64(r2[i])*left + int64(r2[i+1])*right
			s3 += int64(r3[i])*left + int64(r3[i+1])*right
		}
		for r, sum := range [tileRows]int64{s0, s1, s2, s3} {
			low := int32(sum)
			t[r*tileColumns+c] = low
			t[r*tileColumns+c+half] = int32((sum - int64(low)) >> 32)
		}
	}
}

// scaling says how the integers of a panel's columns become numbers: times mul, plus
// add.
type scaling struct{ mul, add [tileColumns]float32 }

// factors are those of the rows of a tile.
type factors [tileRows]float32

// narrowPlain writes a tile as rows of small integers, stride apart: times the factor
// of the row, scaled, rounded to the nearest even, and held within low and high.
func narrowPlain(dst []int16, stride int, t *tile, f *factors, s *scaling, low, high float32) {
	for r := range tileRows {
		for c := range tileColumns {
			v := float32(float32(float32(t[r*tileColumns+c])*f[r])*s.mul[c]) + s.add[c]
			v = min(max(v, low), high)
			dst[r*stride+c] = int16(math.RoundToEven(float64(v)))
		}
	}
}

// addPlain adds a scaled tile to rows of numbers, stride apart.
func addPlain(x []float32, stride int, t *tile, s *scaling) {
	for r := range tileRows {
		for c := range tileColumns {
			x[r*stride+c] += float32(float32(t[r*tileColumns+c])*s.mul[c]) + s.add[c]
		}
	}
}

// squaresPlain adds up the squares of a row in eight sums.
func squaresPlain(x *[width]float32) (sums [8]float32) {
	for i, v := range x {
		sums[i%8] += float32(v * v)
	}
	return sums
}

// roundPlain writes a row times a factor as small integers. The products must lie
// within them.
func roundPlain(dst *[width]int16, x *[width]float32, factor float32) {
	for i, v := range x {
		dst[i] = int16(math.RoundToEven(float64(float32(v * factor))))
	}
}
