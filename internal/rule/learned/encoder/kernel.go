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

// The functions below are the meaning of the kernels in assembler, which give the same
// bits. Conversions to float32 stand where a compiler may otherwise fuse a product with
// a sum and round once instead of twice.

// multiplyPlain fills a tile with rows of a, stride values apart, times a panel of so
// many pairs. The sums cannot overflow: a model whose products could is refused when
// it is read.
func multiplyPlain(t *tile, a []int16, stride int, panel []byte, pairs int) {
	*t = tile{}
	for r := range tileRows {
		row, sums := a[r*stride:][:2*pairs], t[r*tileColumns:][:tileColumns]
		for p := range pairs {
			left, right := int32(row[2*p]), int32(row[2*p+1])
			weights := panel[p*2*tileColumns:][:2*tileColumns]
			for c := range sums {
				sums[c] += left*int32(int8(weights[2*c])) + right*int32(int8(weights[2*c+1]))
			}
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
