package demo

import "strconv"

const statuses = "new,paid,shipped,cancelled,returned"

//nolint:gochecknoglobals // Constant tables.
var (
	statusNames  = [...]string{"new", "paid", "shipped", "cancelled", "returned"}
	segmentNames = [...]string{"AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"}
	firstNames   = [...]string{
		"Ada", "Björn", "Chloé", "Dmitri", "Eun-ji", "Fatima", "Grace", "Hàng", "Iñaki", "Jürgen", "Kofi", "Łucja", "Mary Ann",
		"Nadia", "Ömer", "Pia", "Quentin", "Rosa", "Søren", "Tariq", "Uma", "Víctor", "Wei", "Ximena", "Yuki", "Zoë",
	}
	lastNames = [...]string{
		"Abbott", "Brûlé", "Castillo", "D'Amico", "Eriksson", "Fischer", "González", "Hernandez", "Ivanova", "Jónsdóttir",
		"Kowalski", "Lefèvre", "Müller", "Nguyễn", "O'Brien", "Papadopoulos", "Quinn", "Rossi", "Šimić", "Tanaka", "van der Berg",
	}
	// Texts that a parser or a writer can stumble over. Two end in a character that JavaScript, not JSON, escapes.
	oddTexts = [...]string{
		"", " ", "null", `say "please"`, `C:\shop\new`, "two\nlines\tand a tab", "bell \a and unit separator \x1f", "日本の住所", "smile 😀",
		`{"after":{"note":"nested"}}`, `},"after":{`, "line separator \u2028", "paragraph separator \u2029", "nul \x00 byte", "-0.0", "1e400",
	}
	notes = [...]string{
		"leave at the door", "call before delivery", "gift wrap, please", "fragile", "second attempt", "invoice to head office",
	}
)

func (s *Shop) name() string {
	if s.rng.IntN(100) == 0 {
		return oddTexts[s.rng.IntN(len(oddTexts))]
	}
	return firstNames[s.rng.IntN(len(firstNames))] + " " + lastNames[s.rng.IntN(len(lastNames))]
}

func (s *Shop) note() string {
	if s.rng.IntN(10) == 0 {
		return oddTexts[s.rng.IntN(len(oddTexts))]
	}
	return notes[s.rng.IntN(len(notes))]
}

func (s *Shop) sku() string {
	return "SKU-" + strconv.FormatInt(100_000+s.rng.Int64N(5000), 10)
}

// total returns hundredths that fit a decimal(12,2), small, zero and the largest that there is.
func (s *Shop) total() int64 {
	switch s.rng.IntN(100) {
	case 0:
		return totalMax
	case 1:
		return 0
	}
	return s.rng.Int64N(totalUsual)
}
