package debezium

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

func (x uint128) big() *big.Int {
	b := new(big.Int).SetUint64(x.hi)
	return b.Or(b.Lsh(b, 64), new(big.Int).SetUint64(x.lo))
}

// randomUint128 prefers the ends of the range, where carries are lost.
func randomUint128(r *rand.Rand) uint128 {
	word := func() uint64 {
		switch r.IntN(4) {
		case 0:
			return r.Uint64N(3)
		case 1:
			return ^uint64(0) - r.Uint64N(3)
		}
		return r.Uint64() >> r.IntN(64)
	}
	return uint128{word(), word()}
}

func TestUint128AgreesWithBigInt(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	for range 100_000 {
		x, n := randomUint128(r), r.IntN(2*row.MaxPrecision+1)-row.MaxPrecision
		power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n, -n))), nil)
		want, exact := new(big.Int), true
		if n >= 0 {
			want.Mul(x.big(), power)
		} else {
			rest := new(big.Int)
			want.QuoRem(x.big(), power, rest)
			exact = rest.Sign() == 0
		}
		got, ok := x.shift(n)
		if ok != (exact && want.Cmp(limit) < 0) || ok && got.big().Cmp(want) != 0 {
			t.Fatalf("%v shifted by %d: got %v, %v, want %v, exact %v", x.big(), n, got.big(), ok, want, exact)
		}
	}
}

func TestTwosComplementAgreesWithBigInt(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(row.MaxPrecision), nil)
	for range 100_000 {
		bytes := make([]byte, 1+r.IntN(20))
		for i := range bytes {
			bytes[i] = []byte{0, 0xff, 0x80, 0x7f, byte(r.Uint32())}[r.IntN(5)]
		}
		want := new(big.Int).SetBytes(bytes)
		if bytes[0]&0x80 != 0 {
			want.Sub(want, new(big.Int).Lsh(big.NewInt(1), uint(8*len(bytes))))
		}
		d, ok := fromTwosComplement(bytes, 0)
		ok = ok && d.fits(row.MaxPrecision)
		if ok != (new(big.Int).Abs(want).Cmp(limit) < 0) {
			t.Fatalf("%x: fits is %v for %v", bytes, ok, want)
		}
		if !ok {
			continue
		}
		if got := string(d.signed().AppendText(nil, 0)); got != want.String() {
			t.Fatalf("%x: got %s, want %v", bytes, got, want)
		}
	}
}
