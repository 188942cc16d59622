package learned

// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).
var (
	resultCombination     = combination{gate: -1.051, first: 1, second: 0.2, limits: limits{soft: -0.425, hard: 0.358}}
	definitionCombination = combination{gate: -0.159, first: 1, second: 0.2, limits: limits{soft: -0.040, hard: 0.796}}
)
