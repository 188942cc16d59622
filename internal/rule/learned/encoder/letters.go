package encoder

// How letters fall into words. The training code holds the same tables, because what it
// calls a word must be one here, whatever version of Unicode either of the two knows.

// letters are the letters from À on, each as its base letter in lower case.
var letters = []rune("" +
	"aaaaaaæceeeeiiiiðnooooo×øuuuuyþßaaaaaaæceeeeiiiiðnooooo÷øuuuuyþy" +
	"aaaaaaccccccccddđđeeeeeeeeeegggggggghhħħiiiiiiiiiıĳĳjjkkĸllllllŀ" +
	"ŀłłnnnnnnŉŋŋooooooœœrrrrrrssssssssttttŧŧuuuuuuuuuuuuwwyyyzzzzzzſ" +
	"ƀɓƃƃƅƅɔƈƈɖɗƌƌƍǝəɛƒƒɠɣƕɩɨƙƙƚƛɯɲƞɵooƣƣƥƥʀƨƨʃƪƫƭƭʈuuʊʋƴƴƶƶʒƹƹƺƻƽƽƾƿ" +
	"ǀǁǂǃǆǆǆǉǉǉǌǌǌaaiioouuuuuuuuuuǝaaaaææǥǥggkkooooʒʒjǳǳǳggƕƿnnaaææøø" +
	"aaaaeeeeiiiioooorrrruuuussttȝȝhhƞȡȣȣȥȥaaeeooooooooyyȴȵȶȷȸȹⱥȼȼƚⱦȿ" +
	"ɀɂɂƀʉʌɇɇɉɉɋɋɍɍɏɏ")

const firstLetter = 'À'

type span struct{ low, high rune }

// alone are the characters beyond ASCII that are words by themselves: punctuation,
// symbols, ideographs.
var alone = []span{
	{0xa1, 0xa9},
	{0xab, 0xb1},
	{0xb4, 0xb4},
	{0xb6, 0xb8},
	{0xbb, 0xbb},
	{0xbf, 0xbf},
	{0xd7, 0xd7},
	{0xf7, 0xf7},
	{0x60c, 0x60c},
	{0x61f, 0x61f},
	{0x964, 0x965},
	{0x2010, 0x2027},
	{0x2030, 0x205e},
	{0x20a0, 0x20bf},
	{0x2100, 0x214f},
	{0x2190, 0x2bff},
	{0x3001, 0x303f},
	{0x30fb, 0x30fb},
	{0x3400, 0x4dbf},
	{0x4e00, 0x9fff},
	{0xf900, 0xfaff},
	{0xff01, 0xff0f},
	{0xff1a, 0xff20},
	{0xff3b, 0xff40},
	{0xff5b, 0xff65},
	{0x1f000, 0x1faff},
	{0x20000, 0x2fa1f},
}

// dropped are combining marks and what nobody sees.
var dropped = []span{
	{0x80, 0x9f},
	{0xad, 0xad},
	{0x300, 0x36f},
	{0x200b, 0x200f},
	{0x202a, 0x202e},
	{0x2060, 0x206f},
	{0xfe00, 0xfe0f},
	{0xfeff, 0xfeff},
	{0xe0000, 0xe0fff},
}

// blank is what separates words beyond ASCII.
var blank = []span{
	{0xa0, 0xa0},
	{0x1680, 0x1680},
	{0x2000, 0x200a},
	{0x2028, 0x2029},
	{0x202f, 0x202f},
	{0x205f, 0x205f},
	{0x3000, 0x3000},
}
