package sink

import "slices"

// universalRatio bounds how much bigger the next older file may be than all younger ones together to be absorbed.
const universalRatio = 1.5

// universal decides how many of the newest files are merged into the one that is about to be written, so that at most
// limit remain, the one being written included. sizes are those of the present files, oldest first; added is the size of what
// is about to be written. It returns 0 while there is room. Otherwise it absorbs the newest file, and then each next older
// one while that is at most universalRatio times what was absorbed so far: each byte is then rewritten a number of
// times that grows with the logarithm of the total only.
func universal(sizes []int64, added int64, limit int) int {
	if len(sizes)+1 <= limit {
		return 0
	}
	absorbed, n := added, 0
	for _, size := range slices.Backward(sizes) {
		if n > 0 && float64(size) > universalRatio*float64(absorbed) && len(sizes)-n+1 <= limit {
			break
		}
		absorbed += size
		n++
	}
	return n
}
