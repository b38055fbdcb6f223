/**
 * The passwords of at least eight characters that head every published list of leaked ones. Small on purpose:
 * it stops guessing at the front door within the throttled number of attempts; a breach corpus is another tool's work.
 */
const list = `
00000000 000000000 0000000000 01234567 012345678 0123456789 0987654321 09876543 10203040 1020304050 11111111 111111111 1111111111
11223344 1122334455 112233445566 12121212 1212121212 12341234 123123123 123123123123 1234512345 12344321 123454321 1234554321 123456654321
12345678 12345678! 12345678. 123456789 123456789. 123456789! 1234567890 12345678900 12345678901 123456789012 1234567891 12345678910 1234567899
123456987 1234567a 12345678a 123456789a 123456789q 1234567q 12345678q 123456ab 123456abc 123456aa 123456qwerty 12345qwert 1234qwer 1234qwerasdf 123qweasd 123qweasdzxc 123qwe123
123654789 123698745 1233211234567 12131415 13131313 13579246 1357924680 135792468 14141414 14725836 147258369 147852369 1478963 14789632 147896325
159753456 15975312 1597534682 159357456 18273645 19191919 19283746 1qaz1qaz 1qaz2wsx 1qaz2wsx3edc 1qaz2wsx3edc4rfv 1qaz@wsx 1qazxsw2 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1q2w3e4r5t6y7u
1a2b3c4d 1a2s3d4f 1password 1234abcd 123abc123 123456789z 123456789abc 12qwaszx 123456asd 1234567890q 1234567890a 1234567890qwertyuiop 1234567w
20102010 20112011 20122012 21212121 22222222 222222222 22334455 23232323 23456789 24682468 246813579 25252525 25802580 29rsavoy 31415926 3141592654
33333333 333333333 44444444 444444444 45454545 456456456 4815162342 55555555 555555555 5555555555 55667788 66666666 666666666 6666666666 77777777 777777777
7777777777 741852963 74108520 753951456 78945612 789456123 789789789 852456789 87654321 876543210 88888888 888888888 8888888888 963852741 963258741 98765432 987654321
9876543210 98741236 987456321 99999999 999999999 9999999999 a1234567 a12345678 a123456789 aa12345678 aa123456 aa123123 a1b2c3d4 a1b2c3d4e5 a1s2d3f4 a1s2d3f4g5
aaaaaaaa aaaaaaaaa aaaaaaaaaa aaaaa11111 abababab abc12345 abc123456 abc123456789 abc123abc abcabcabc abcd1234 abcd12345 abcd123456 abcd1234! abcde12345 abcdefgh abcdefg1
abcdefg123 abcdefghi abcdefghij access14 admin123 admin1234 admin12345 admin123456 admin@123 adminadmin administrator airborne alejandra alejandro alexander alexandra alexandre
alexis123 america1 anderson andromeda angel123 angelica angelina anthony1 apple123 arsenal1 asd123asd asdasd123 asdasdasd asdf1234 asdf12345 asdfasdf asdfgh123 asdfghjk asdfghjkl
asdfghjkl1 asdfghjkl; asdfjkl; asdfqwer asdqwe123 asdzxc123 atlantis baby1234 babygirl babygirl1 backspace badboy123 bailey123 barcelona baseball baseball1 basketball basketball1
batman123 bearbear beautiful beautiful1 benjamin bigdaddy billabong birthday biteme123 blackcat blackjack bluebird blahblah bonjour1 bookworm brandon1 brittany broncos1 bulldog1 bulldogs
butterfly butterfly1 callofduty camaross california caroline carolina cashmoney champion chandler changeme changeme1 changeme123 changeit charles1 charlie1 charlie123 charlotte
chelsea1 chester1 chicago1 chickens chocolate chocolate1 chopper1 chris123 christian christina christine christmas christopher cinderella clarence classics cocacola coffee123
colorado computer computer1 computer123 concrete corvette counter1 cowboys1 crazy123 creative cristina cristian crystal1 cutiepie daniel123 danielle darkness darkside december
default1 default123 destiny1 diamond1 disney123 dolphin1 dolphins donald123 dragon12 dragon123 dragonball dragons1 dreamer1 drowssap einstein elephant elizabeth elizabeth1 emmanuel
estrella everyone everton1 explorer facebook facebook1 falcons1 familyguy fernanda fernando fireball firebird fishing1 flamengo flower123 football football1 football12 football123
football2 footballer forever1 forever21 fordf150 francesco francisco franklin freedom1 freeuser friend123 friends1 friendster fuckfuck fuckoff1 fuckyou1 fuckyou123 fuckyou2
fuckyou! gabriel1 gabriela gandalf1 gangster garfield gateway1 gemini12 genesis1 geronimo gfhjkm123 gfhjkmgfhjkm giovanni goldfish goodluck google123 gordon24 grandma1 greenday guest123
guinness gunners1 hahahaha hallo123 hannah123 happy123 happyday hardcore harley123 harrypotter heather1 hello123 hello1234 hello12345 helloworld hellokitty hello123! hercules
highland hockey12 homerun1 hongkong honolulu hottie123 hunter12 hunter123 iceman123 iloveyou iloveyou! iloveyou1 iloveyou12 iloveyou123 iloveyou2 iloveyou3 ilovegod ilovehim iloveme1
iloveme123 ilovemom iloveu12 iloveu123 imissyou indonesia infinity inlovewithyou internet internet1 isabella jackass1 jackson1 jamaica1 jasmine1 jasper123 jennifer jennifer1
jessica1 jessica123 jesus123 jesuschrist jesus777 joanna123 johncena johndeere jonathan jordan12 jordan123 jordan23 josephine joshua12 joshua123 juliana1 justice1 justin123
katherine kathleen killer12 killer123 kimberly kingkong kristina ladybug1 lakers24 lamborghini lasvegas lavender leonardo letmein! letmein1 letmein12 letmein123 liberty1 lightning
linkedin linkinpark liverpool liverpool1 lkjhgfdsa lollipop lollol123 london123 longhorn loulou12 love1234 love12345 loveable lovelove loveme123 lovelife loveyou1 lucky123 maddison
madonna1 maggie12 manager1 manchester manunited marcopolo margaret mariners marijuana marseille marshall martinez master12 master123 masterkey matthew1 maverick maxwell1 mechanic
megadeth melanie1 mercedes mercedes1 merlin123 metallica metallica1 michael1 michael123 michael2 michaela michelle michelle1 microsoft midnight midnight1 miguelangel minecraft
minecraft1 mississippi mommy123 money123 moneyman monica123 monkey12 monkey123 monster1 montana1 montreal moonlight morgan123 mortgage motorola mountain muhammad music123 mustang1
mypassword myspace1 myspace123 naruto123 nathaniel newcastle newyork1 newyork123 nicholas nicholas1 nicole12 nicole123 nightmare ninjutsu nintendo nirvana1 nothing1 november nursing1
october1 oliver123 operator orange12 orlando1 overlord p@ssw0rd p@ssw0rd1 p@ssw0rd123 p@ssword p@ssword1 p4ssw0rd pa$$w0rd pa$$word pa55w0rd pa55word pakistan pakistan123 paladin1 panasonic
panther1 panthers paradise paramore pass1234 pass12345 pass123456 passport passw0rd passw0rd! passw0rd1 passw0rd123 password password! password!1 password. password0 password00
password01 password1 password1! password10 password11 password12 password123 password123! password1234 password12345 password123456 password13 password2 password21 password22 password23
password3 password4 password5 password6 password69 password7 password77 password8 password88 password9 password99 passwords password@1 password@123 passwort passwort1 patricia patrick1
patriots peaches1 peanut123 penguin1 pepper12 performance phillips phoenix1 pictures pineapple pingpong platinum playboy1 pleasure pokemon1 pokemon123 pokemon12 popcorn1 porsche1
porsche911 portugal power123 precious predator presario princesa princess princess1 princess12 princess123 private1 prometheus property punkrock purple12 purple123 q1w2e3r4
q1w2e3r4t5 q1w2e3r4t5y6 qazqazqaz qazwsx12 qazwsx123 qazwsxedc qazwsxedc1 qazwsxedc123 qazwsxedcrfv qazxsw21 qqqqqqqq qqww1122 qweasd123 qweasdzxc qweasdzxc123 qweqwe123 qweqweqwe
qwer1234 qwer12345 qwer4321 qwerasdf qwert123 qwert12345 qwerty00 qwerty01 qwerty11 qwerty12 qwerty123 qwerty123! qwerty1234 qwerty12345 qwerty123456 qwerty22 qwerty77 qwertyqwerty
qwertyui qwertyuio qwertyuiop qwertyuiop1 qwertyuiop123 qwertyuiop[] qwertz123 qwertzuiop qwaszx12 rachelle raiders1 rainbow1 rangers1 raymond1 realmadrid rebecca1 redskins redsox04
remember renegade richard1 ricardo1 robert12 robert123 rochelle rockstar rockstar1 rocknroll rodrigo1 rolltide root1234 rootroot rosemary rush2112 russell1 samantha samantha1 samsung1
samsung123 samsung12 samuel123 sandiego santiago sasuke123 savannah scarface school123 scooby123 scooter1 scorpio1 scorpion scotland sebastian secret12 secret123 security september
serenity sexy1234 shadow12 shadow123 shannon1 shithead shopping siemens1 silver123 simpsons single123 skateboard skittles skywalker slipknot slipknot1 slipknot666 smallville snickers
snowball snowboard snowflake soccer10 soccer11 soccer12 soccer123 softball softball1 someday1 something southpark spartan117 spencer1 spider123 spiderman spiderman1 spitfire
spongebob spongebob1 srilanka stanford starcraft stargate starlight startrek starwars starwars1 stealth1 steelers steelers1 stephanie stephanie1 stephen1 strawberry strawberry1
streetball stupid123 success1 summer12 summer123 sunflower sunshine sunshine1 sunshine12 sunshine123 superman superman1 superman12 superman123 supernatural superstar superstar1
superuser swordfish sweet123 sweetheart sweetie1 sweetness sweetpea sylvester system123 taylor123 teamo123 techniques teddybear telephone temp1234 temppass tequiero tequila1
terminator test1234 test12345 test123456 test1test testing1 testing123 testpass testtest testuser theflash thebeast theking1 thomas123 thunder1 tiffany1 tigger12 tigger123 time4fun
tinkerbell tinkerbell1 toshiba1 tottenham trinity1 trouble1 trustno1 trustno1! twilight twilight1 undertaker unicorn1 universal universe user1234 valentina valentine vanessa1 veronica
victoria victoria1 victory1 vincent1 virginia volcom123 voyager1 wachtwoord warcraft warcraft1 warriors waterfall webmaster welcome! welcome01 welcome1 welcome1! welcome12
welcome123 welcome123! welcome1234 welcome2 welcome@123 westside whatever whatever1 whatsup1 william1 williams willow123 windows1 windows10 winner123 winston1 winter12 winter123
wolverine wonderful woodland wordpass wrestling xbox360x xxxxxxxx xxxxxxxxxx yankees1 yankees2 yellow12 yellow123 yourmom1 youtube1 yuantuo2012 yugioh123 z1x2c3v4 z1x2c3v4b5 zachary1
zaq12wsx zaq1xsw2 zaq1zaq1 zaq1@wsx zeppelin zxc123zxc zxcv1234 zxcvasdf zxcvb12345 zxcvbn123 zxcvbnm1 zxcvbnm, zxcvbnm123 zxcvbnm,./ zxczxczxc zzzzzzzz
katasandi kata123sandi rahasia1 rahasia123 sayangku sayang123 indonesia1 indonesia123 jakarta1 jakarta123 bismillah bismillah1 bismillah123 alhamdulillah cintaku1 akusayangkamu
`

let words: ReadonlySet<string> | undefined

/** Whether the password is on the list, in whatever case. */
export function isCommonPassword(password: string): boolean {
  words ??= new Set(list.split(/\s+/))
  return words.has(password.toLowerCase())
}
