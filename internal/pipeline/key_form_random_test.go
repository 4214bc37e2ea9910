package pipeline_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

var keyFormSeeds = flag.Uint64("keyforms", 12, "How many histories TestKeysKeepTheirOrderWhateverHappens draws.")

// Whatever forms the keys have in turn, whichever partition waits, and whenever the process stops or dies, each key keeps its order (I13).
func TestKeysKeepTheirOrderWhateverHappens(t *testing.T) {
	for seed := range *keyFormSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 99))
			k := newKeyWorld(t, rng.IntN(2) == 0)
			k.s.rng = rng
			forms := []keying{namedKeys("a"), bareKeys, namedKeys("b"), namedKeys("c"), namedKeys("d")}
			if k.s.avro {
				forms = []keying{avroKeys(71), avroKeys(72), avroKeys(73)}
			}
			rng.Shuffle(len(forms), func(i, j int) { forms[i], forms[j] = forms[j], forms[i] })
			pause := func() { time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond) }
			p := k.start(k.tables, k.mortal(rng))
			for len(forms) > 0 {
				for n := 1 + rng.IntN(2); n > 0 && len(forms) > 0; n-- {
					k.s.change(forms[0], rng.IntN(60))
					forms = forms[1:]
				}
				if len(forms) > 0 && rng.IntN(2) == 0 {
					k.s.change(forms[0], rng.IntN(40))
				}
				release := k.sendHolding(int32(rng.IntN(3)))
				if pause(); rng.IntN(2) == 0 {
					if err := p.stop(); err != nil {
						t.Fatal(err)
					}
					p = k.start(k.tables, k.mortal(rng))
					pause()
				}
				if release(); rng.IntN(2) == 0 {
					k.equals()
				}
			}
			k.equals()
		})
	}
}

// mortal lets every other process lose what it has not committed when it is stopped.
func (k *keyWorld) mortal(rng *rand.Rand) func(*pipeline.Options) {
	dies := rng.IntN(2) == 0
	return func(o *pipeline.Options) {
		if k.change != nil {
			k.change(o)
		}
		if dies {
			o.GracePeriod = time.Nanosecond
		}
	}
}
