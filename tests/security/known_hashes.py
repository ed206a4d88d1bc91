"""Hashes made by other software. Each password has a cheap one in every format."""

from typing import Final, NamedTuple


class KnownHash(NamedTuple):
    maker: str
    password: str
    password_hash: str


PLAIN: Final = "correct horse battery"
LONG: Final = "Wörter, die länger sind als bcrypt je liest: " + "äöü🌍" * 12
"""More than the 72 bytes that bcrypt reads."""
OTHER: Final = "пароль-密码-🔑-пароль"

MADE: Final = (
    KnownHash(
        "Django 5.2.19",
        PLAIN,
        "pbkdf2_sha256$20000$UxUxd7NzWDkDpMzNGZMfOC$pDfYWHCMth90al8KprABots5jUOon8lCZsXSRm7M6y0=",
    ),
    KnownHash("Django 5.2.19", PLAIN, "pbkdf2_sha1$20000$X2Tbzcgv2pKaHTPlfisV6I$U+vMz8nZfhAWPCEnBZbv2AjxNvg="),
    KnownHash(
        "Django 5.2.19",
        PLAIN,
        "argon2$argon2id$v=19$m=1024,t=2,p=2$Y0tJN2ZXT3pwM01wMmIzTTh6SzlWaA$ihK5O8rkirTnn0KPUJzRZCqHxXzeDwnH7G61FggsM48",
    ),
    KnownHash("Django 5.2.19", PLAIN, "bcrypt_sha256$$2b$05$kiLkzfMp43goiPe0Hd3kJ.lAPcDGoF9wNMjjblAa0L7IF2258J95a"),
    KnownHash("Django 5.2.19", PLAIN, "bcrypt$$2b$05$.q9aQOOwkmyy69VisXosge4JRWGhGD3k5IzUglYs5OtXjGOc4jmai"),
    KnownHash(
        "Django 5.2.19",
        PLAIN,
        "scrypt$1024$uZQZYH6slfQQnLj4iS5Wia$8$5$U5olOiJCRWr3FNz0hp6KAcsS4C652btuYWQH5Jx00BKygRSKyVrJ5nskJKmqqgAr4mdat4VjJw0S/KWu5vjPUA==",
    ),
    KnownHash("passlib 1.7.4", PLAIN, "$2a$05$HES/kZg1tK1SwPivMeA6Gui2iDT1/SxSuydmPfZfQk3jKhtAMCwL."),
    KnownHash("passlib 1.7.4", PLAIN, "$2b$05$XjKv4NioTLg0PWSTqRFxQORsGdULQR.QO2m1IHME.F4GStzdOtUui"),
    KnownHash("passlib 1.7.4", PLAIN, "$2y$05$mErsFR7QTzhih/rJANS89.h14tCLIV4x/ePezRPvFHlII7NOtJ2aO"),
    KnownHash(
        "passlib 1.7.4",
        PLAIN,
        "$scrypt$ln=8,r=8,p=1$sXauNSYkJGTsXQvB2FsrpQ$GXwdGQg+54Qo3wy4OXuCN1MSkfuAzAYSNR2MrXeyynQ",
    ),
    KnownHash(
        "passlib 1.7.4",
        PLAIN,
        "$scrypt$ln=10,r=4,p=3$2hvDWAvhPCeEUKr1PseYE4IQojTmvA$9ybRQz1UB1wDYubVuFyMiGz2NtuNsmDDq+OfB6WSpnY",
    ),
    KnownHash(
        "passlib 1.7.4",
        PLAIN,
        "$argon2i$v=19$m=512,t=2,p=2$2nvPudfam1Oqda6VEuJc6w$0FBdv7jYXG0PUJmTTnTcWRia5rtfN1Ict3WElYwuxfQ",
    ),
    KnownHash(
        "passlib 1.7.4",
        PLAIN,
        "$argon2d$v=19$m=512,t=2,p=2$K0WIMUZoDcGY815rLWWs1Q$lKEHqr4P8JFRMK+9A1W1WerB9UJTeGIKb60+hZOcHeU",
    ),
    KnownHash(
        "passlib 1.7.4",
        PLAIN,
        "$argon2id$v=19$m=512,t=2,p=2$aG0NYWxN6b1XCkHIec95zw$2UEqYhAymI/5JnNvWnTVfILOqw0ebSmzXqFlSwGAWTc",
    ),
    KnownHash("bcrypt 4.0.1", PLAIN, "$2b$05$Csit.hG2YbDopTp5PjBeE.z95RqFa4e4a6p1qZRF41or3Np5Cv5Ki"),
    KnownHash(
        "argon2-cffi 25.1, version 16",
        PLAIN,
        "$argon2i$v=16$m=256,t=1,p=1$daxJz6sRtzj524D7FWyT5Q$qy76d+JZUHLnTZavbNP5IZr+WTdAQRMzjcAvX6TyyVk",
    ),
    KnownHash(
        "argon2-cffi 25.1, version 16",
        PLAIN,
        "$argon2d$v=16$m=256,t=1,p=1$Nc4DyYt6lqdPynapK+feRg$89QFnJS9F3edYUjlVI28RMsQsICI1eyI2TcUVTk33xE",
    ),
    KnownHash(
        "Django 5.2.19",
        LONG,
        "pbkdf2_sha256$20000$INY45gwY03HPgQ0N6FdryT$e/C1Xzkz3YCZ9xvjxr35byBdQJWmRrZoN2CEO1CPA4M=",
    ),
    KnownHash("Django 5.2.19", LONG, "pbkdf2_sha1$20000$809oX3OJchlIM1ufTe3H7X$WsKJw2WYHr+rawDkJz/Wfy5oph8="),
    KnownHash(
        "Django 5.2.19",
        LONG,
        "argon2$argon2id$v=19$m=1024,t=2,p=2$Q0h0cW1tTVB2OGNxbDZzTTkzazVqYg$o1tjILoAxZHesTolhFLpdL1g1urr86YsoJIngclKydE",
    ),
    KnownHash("Django 5.2.19", LONG, "bcrypt_sha256$$2b$05$ZS901UmkrJ8E89lZlAnmY.ew74n5lD1buxxV//SHloU7Ey3k.MUYe"),
    KnownHash("Django 5.2.19", LONG, "bcrypt$$2b$05$iF07Xm8TFupZ/jRAf3wbJ.Eg67QJTM.o6HLY8Jutay0LYdrFUBl9W"),
    KnownHash(
        "Django 5.2.19",
        LONG,
        "scrypt$1024$xOhUzAEjOfbkTlMI6XyAGo$8$5$QZ6JLoLB6ZU7ejolPaJHd+b31herwVqpYbDzmHGDc0OGdyXaN72GWZnlXgtw9pkGX1q2oM8yBqmYT18IwYioRQ==",
    ),
    KnownHash("passlib 1.7.4", LONG, "$2a$05$3pbqYs8Rtd50w5vx/dRaHec0k.IjYFFMnv/j8CEQJ1pFbUP2PrMFO"),
    KnownHash("passlib 1.7.4", LONG, "$2b$05$IOoDzK2j.5Fs57mzlWII3.EVllXTznw2kgvTQemlRkEWbszfetCym"),
    KnownHash("passlib 1.7.4", LONG, "$2y$05$ZaSl1HT8xYa8Jr4iiN7E3uH2VmjH/cluyxne8octF52fTQbU03S5y"),
    KnownHash(
        "passlib 1.7.4",
        LONG,
        "$scrypt$ln=8,r=8,p=1$9D5nbA2hdM5ZK2Xsfe8dww$tHLv1oK6cTThB356J8L6sPhz4HIRJdAbr97vguA4uKE",
    ),
    KnownHash(
        "passlib 1.7.4",
        LONG,
        "$scrypt$ln=10,r=4,p=3$8P6/N+a8lxKilBLinJMSotRaCwEgRA$njA/QhIr1L2UK3Z3H0FIlI2aiPEBw3yWRbrVsG7KP10",
    ),
    KnownHash(
        "passlib 1.7.4",
        LONG,
        "$argon2i$v=19$m=512,t=2,p=2$L0VorbU2Ziyl9P6/F+Lcuw$2FaWMbN42IwVQDKFtAlDKHV+G/sEZ4sQQvC/+M4xxCg",
    ),
    KnownHash(
        "passlib 1.7.4",
        LONG,
        "$argon2d$v=19$m=512,t=2,p=2$p1SKMQYAQEjp/Z+T0ro3xg$j7r5gI9+ypzAQQRdRGc9aVKpVYFxPJIFazfCXWrvWoA",
    ),
    KnownHash(
        "passlib 1.7.4",
        LONG,
        "$argon2id$v=19$m=512,t=2,p=2$xhiDMIbwXgthrPW+N+Y8Jw$mAabYFiRa6J44iAtnKbj/c9CYKb9/ikHTEmD7wmuOug",
    ),
    KnownHash("bcrypt 4.0.1", LONG, "$2b$05$l4payxSMzy.m/hFtJa96q.VFggzdekuaOKvJHvvVlWcI6gvi0adGi"),
    KnownHash(
        "argon2-cffi 25.1, version 16",
        LONG,
        "$argon2i$v=16$m=256,t=1,p=1$+jpn6k1gpzmmi/0OuLnVoA$DFae11RQiPIiPmjKT8v9lfdG3A76l9uqo8OwLrYseoE",
    ),
    KnownHash(
        "argon2-cffi 25.1, version 16",
        LONG,
        "$argon2d$v=16$m=256,t=1,p=1$clm84ubFZvTJr9/Q4+C+Xw$dDA7SJXGhRh1ZEF0cAmKUuZkj443ck+B+yfmp5B82LQ",
    ),
    KnownHash(
        "Django 5.2.19",
        OTHER,
        "pbkdf2_sha256$20000$n03yKsLKkqZ1bzI7YGV3Wh$bQ8133P6+sO1/V/gxEfpZCsuiWdd+QoIZqQxSst3lts=",
    ),
    KnownHash("Django 5.2.19", OTHER, "pbkdf2_sha1$20000$DHYhE5BB3kGFx2pE5Wl9TX$gtb/m8qiKP7r0xe2i97P8jQeo74="),
    KnownHash(
        "Django 5.2.19",
        OTHER,
        "argon2$argon2id$v=19$m=1024,t=2,p=2$TzFJVkdGN3dxRnlGN3dQa0RTckdOUQ$M6juXSP1pcmDJmtrSUwQZ7Ca7FHxmpmKQmfnnej/y1g",
    ),
    KnownHash("Django 5.2.19", OTHER, "bcrypt_sha256$$2b$05$19ZhuwQkp7cj9M03.5JG1.EH/UZkwXeQ.wLn2psFBBZ5azP1SbINO"),
    KnownHash("Django 5.2.19", OTHER, "bcrypt$$2b$05$0ObmctwBA0BCaCa6/afnYe4cvocbFvTP4XXWQZJhD5hZTj5PeAGOi"),
    KnownHash(
        "Django 5.2.19",
        OTHER,
        "scrypt$1024$rUmTDX4LuEdJ5cuPJuBmtZ$8$5$6djf0VidznxwoLp7QnLYioqa8r/iWY3F8eAVu36KIMVFs+kAXDHrOOQeiu2Hsp4SyMdIppZwjrMQ3XXNKYjkRg==",
    ),
    KnownHash("passlib 1.7.4", OTHER, "$2a$05$V3FNHaGE0PZntMA4E5GyM.TItXMCp9qOnHji0bcQ8xi9cU9Ie1cIC"),
    KnownHash("passlib 1.7.4", OTHER, "$2b$05$Wo7GH28g/VoL1SJcQY9MHuv.yOm1u.n1bxGtVLOsFVgttO8lWLurK"),
    KnownHash("passlib 1.7.4", OTHER, "$2y$05$ezF36MXVopL/AKR24XY1wOvpwITKv7FhS6kotb6ImD9Di1J8KO8SO"),
    KnownHash(
        "passlib 1.7.4",
        OTHER,
        "$scrypt$ln=8,r=8,p=1$ilHKuRdC6B0j5Nwb45xTag$afk3Bjb5nHUDlVzX/fzIeeYipiGTGOTupQmCuQ372nE",
    ),
    KnownHash(
        "passlib 1.7.4",
        OTHER,
        "$scrypt$ln=10,r=4,p=3$eu/937u3Nqa0FgKAUErJ2XtvTQmhtA$Je49EpLRNlWaF3ffUwF+uWifK6MrBhzxxyN2edD11ZQ",
    ),
    KnownHash(
        "passlib 1.7.4",
        OTHER,
        "$argon2i$v=19$m=512,t=2,p=2$ybk3RogRglCKkTLmfG8NoQ$SECV8sz8vJZQsVgsqEaUSXXyAC6CNcgai599hw1oNgo",
    ),
    KnownHash(
        "passlib 1.7.4",
        OTHER,
        "$argon2d$v=19$m=512,t=2,p=2$3HtvLUUoRYixVopxzpnT2g$9E9kTqAfgp1qjxe/UGTt1ztGIjSv7hgbD9NbZpISnt8",
    ),
    KnownHash(
        "passlib 1.7.4",
        OTHER,
        "$argon2id$v=19$m=512,t=2,p=2$6P2/dw7hfK9VKiXE+L/Xug$Im9y9Feh4vUHVCfmNKzb9e8vlyEcvE9uNIu4DkjePWI",
    ),
    KnownHash("bcrypt 4.0.1", OTHER, "$2b$05$n8IWoHTfVh6juyQaYOne3OgcHiL5ohvOxUzrTI4MfuWTD4tj1ZSry"),
    KnownHash(
        "argon2-cffi 25.1, version 16",
        OTHER,
        "$argon2i$v=16$m=256,t=1,p=1$617oSbI78G25jZUjFHt3OQ$d06jZF41sEeLmdsjfehpzkzChKEdJ9fB5z9PF2lPYa0",
    ),
    KnownHash(
        "argon2-cffi 25.1, version 16",
        OTHER,
        "$argon2d$v=16$m=256,t=1,p=1$CnLkcnVW69F4DPDztn6s3w$J0YIuPrhxdEyAx8Dt0BXuE1Iv/1u+SzqvhrTKQl2ekE",
    ),
)

AT_THEIR_MAKERS_COST: Final = (
    KnownHash(
        "Django 5.2.19",
        PLAIN,
        "pbkdf2_sha256$1000000$nzO8ZIhZlnTxVOn9WQXQD3$hU/lfPuhnCFIrphHNJP8uaTCVJzT+1aijYkjebwsmcU=",
    ),
    KnownHash(
        "Django 5.2.19",
        PLAIN,
        "argon2$argon2id$v=19$m=102400,t=2,p=8$cEpGc0FENTRDcHh4dTN3SnpuWk9sdg$KltJwZiQaOxT06gTZUzNNHeuhICiiBhJOcejPdKgrAA",
    ),
    KnownHash("Django 5.2.19", PLAIN, "bcrypt_sha256$$2b$12$AuvNY4hx6dOxsYRJWJZ4wOSTWyBBmQBwe6RPEbfhtHE3Poj3ocDj6"),
    KnownHash(
        "Django 5.2.19",
        PLAIN,
        "scrypt$16384$QFiIDMMk82MntSL2LV8teU$8$5$NwF+26LJmB9EDgODRc/Fc9hg/ifUhK/1CCyIZRfyDLBtD3HkRL/kXsFCdbmGP+H4A6tJIdTy2NKUvkhuVpfpnA==",
    ),
)
