#include "textflag.h"

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() uint32
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET

// One pair of a row, spread over all columns, times the pairs in Y8 and Y9.
#define ROW(address, low, high) \
	VPBROADCASTD address, Y10 \
	VPMADDWD     Y8, Y10, Y11 \
	VPMADDWD     Y9, Y10, Y12 \
	VPADDD       Y11, low, low \
	VPADDD       Y12, high, high

// func multiplyAVX2(t *tile, a *int16, stride int, panel *byte, pairs int)
TEXT ·multiplyAVX2(SB), NOSPLIT, $0-40
	MOVQ t+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ stride+16(FP), DX
	MOVQ panel+24(FP), BX
	MOVQ pairs+32(FP), CX
	ADDQ DX, DX          // bytes
	LEAQ (SI)(DX*1), R8
	LEAQ (SI)(DX*2), R9
	LEAQ (R8)(DX*2), R10
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7

loop:
	VPMOVSXBW (BX), Y8
	VPMOVSXBW 16(BX), Y9
	ROW((SI), Y0, Y1)
	ROW((R8), Y2, Y3)
	ROW((R9), Y4, Y5)
	ROW((R10), Y6, Y7)
	ADDQ $32, BX
	ADDQ $4, SI
	ADDQ $4, R8
	ADDQ $4, R9
	ADDQ $4, R10
	DECQ CX
	JNZ  loop

	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VMOVDQU Y4, 128(DI)
	VMOVDQU Y5, 160(DI)
	VMOVDQU Y6, 192(DI)
	VMOVDQU Y7, 224(DI)
	VZEROUPPER
	RET

// func narrowAVX2(dst *int16, stride int, t *tile, f *factors, s *scaling, low, high float32)
TEXT ·narrowAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ stride+8(FP), DX
	MOVQ t+16(FP), SI
	MOVQ f+24(FP), R8
	MOVQ s+32(FP), BX
	VBROADCASTSS low+40(FP), Y8
	VBROADCASTSS high+44(FP), Y9
	VMOVUPS (BX), Y4
	VMOVUPS 32(BX), Y5
	VMOVUPS 64(BX), Y6
	VMOVUPS 96(BX), Y7
	ADDQ DX, DX          // bytes
	MOVQ $4, CX

loop:
	VCVTDQ2PS (SI), Y0
	VCVTDQ2PS 32(SI), Y1
	VBROADCASTSS (R8), Y2
	VMULPS    Y2, Y0, Y0
	VMULPS    Y2, Y1, Y1
	VMULPS    Y4, Y0, Y0
	VMULPS    Y5, Y1, Y1
	VADDPS    Y6, Y0, Y0
	VADDPS    Y7, Y1, Y1
	VMAXPS    Y8, Y0, Y0
	VMAXPS    Y8, Y1, Y1
	VMINPS    Y9, Y0, Y0
	VMINPS    Y9, Y1, Y1
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y1, Y1
	VPACKSSDW Y1, Y0, Y0
	VPERMQ    $0xd8, Y0, Y0
	VMOVDQU   Y0, (DI)
	ADDQ      $64, SI
	ADDQ      $4, R8
	ADDQ      DX, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func addAVX2(x *float32, stride int, t *tile, s *scaling)
TEXT ·addAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ stride+8(FP), DX
	MOVQ t+16(FP), SI
	MOVQ s+24(FP), BX
	VMOVUPS (BX), Y4
	VMOVUPS 32(BX), Y5
	VMOVUPS 64(BX), Y6
	VMOVUPS 96(BX), Y7
	SHLQ $2, DX          // bytes
	MOVQ $4, CX

loop:
	VCVTDQ2PS (SI), Y0
	VCVTDQ2PS 32(SI), Y1
	VMULPS    Y4, Y0, Y0
	VMULPS    Y5, Y1, Y1
	VADDPS    Y6, Y0, Y0
	VADDPS    Y7, Y1, Y1
	VADDPS    (DI), Y0, Y0
	VADDPS    32(DI), Y1, Y1
	VMOVUPS   Y0, (DI)
	VMOVUPS   Y1, 32(DI)
	ADDQ      $64, SI
	ADDQ      DX, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func squaresAVX2(x *[width]float32, sums *[8]float32)
TEXT ·squaresAVX2(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), SI
	MOVQ sums+8(FP), DI
	VXORPS Y0, Y0, Y0
	MOVQ $16, CX

loop:
	VMOVUPS (SI), Y1
	VMULPS  Y1, Y1, Y1
	VADDPS  Y1, Y0, Y0
	ADDQ    $32, SI
	DECQ    CX
	JNZ     loop
	VMOVUPS Y0, (DI)
	VZEROUPPER
	RET

// func roundAVX2(dst *[width]int16, x *[width]float32, factor float32)
TEXT ·roundAVX2(SB), NOSPLIT, $0-20
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	VBROADCASTSS factor+16(FP), Y2
	MOVQ $8, CX

loop:
	VMULPS    (SI), Y2, Y0
	VMULPS    32(SI), Y2, Y1
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y1, Y1
	VPACKSSDW Y1, Y0, Y0
	VPERMQ    $0xd8, Y0, Y0
	VMOVDQU   Y0, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET
