package learned

// Fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.889, first: 1, second: 0.4, limits: limits{soft: 0.096, hard: 1.087}}
	definitionCombination = combination{gate: -1.505, first: 1, second: 0.4, limits: limits{soft: -0.080, hard: 1.012}}
)
