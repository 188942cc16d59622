package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -0.330, first: 1, second: 0.2, limits: limits{soft: -0.337, hard: -0.037}}
	definitionCombination = combination{gate: -0.227, first: 1, second: 0.3, limits: limits{soft: -0.048, hard: 1.149}}
)
