"""Make the example files, `users.csv` and `events.jsonl`, beside this script: 5,000 people and what they did.

Every person, number and purchase is invented; a likeness to anyone is chance. The files are the same byte for byte on
every Python from 3.11 on, because only `Random.random` draws, whose sequence Python keeps (documentation of `random`).

A few rows are bad on purpose, each in another way, for the client to refuse: `BAD_USERS` and `BAD_EVENTS` say how many.
"""

from __future__ import annotations

import csv
import io
import json
import random
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

SEED = 20250301
USERS = 5_000
EVENTS = 20_000

#: 2025-03-01 00:00 in Beijing, in milliseconds; the events are spread over six weeks from there.
START_MS = 1_740_758_400_000
SPAN_MS = 6 * 7 * 24 * 3_600_000

HEADER = [
    *("identityType", "thirdId", "phone", "openid", "unionid"),
    *("realName", "sex", "address", "birthday", "remark"),
    *("customFields.101.会员等级", "customFields.102.兴趣", "customFields..来源渠道"),
]

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常"
)
MALE = "伟强磊军洋勇杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙林欢阳建国志文博海峰晨子轩天佑嘉豪思远"
FEMALE = "芳娜敏静丽艳娟霞秀英玲桂兰燕萍红梅婷雪慧莹倩颖琳洁晶欣怡佳雨涵梓萱诗梦瑶思彤若曦语嫣可馨紫玥"
PREFIXES = (
    130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 150, 151, 152, 153, 155, 156, 157, 158, 159,
    166, 173, 175, 176, 177, 178, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 191, 198, 199,
)  # fmt: skip
#: Province, city, district, and roads of that district.
PLACES = [
    ("北京市", "", "朝阳区", "建国路 望京街 三里屯路 工人体育场北路"),
    ("北京市", "", "海淀区", "中关村大街 学院路 知春路 西土城路"),
    ("上海市", "", "浦东新区", "世纪大道 张杨路 陆家嘴环路 锦绣路"),
    ("上海市", "", "徐汇区", "淮海中路 漕溪北路 肇嘉浜路 衡山路"),
    ("天津市", "", "和平区", "南京路 滨江道 营口道"),
    ("重庆市", "", "渝中区", "民权路 中山三路 解放碑步行街"),
    ("广东省", "广州市", "天河区", "天河路 体育西路 黄埔大道西 珠江东路"),
    ("广东省", "深圳市", "南山区", "科技园路 深南大道 后海大道 学府路"),
    ("广东省", "佛山市", "禅城区", "祖庙路 季华五路 汾江中路"),
    ("浙江省", "杭州市", "西湖区", "文三路 天目山路 曙光路 古墩路"),
    ("浙江省", "宁波市", "鄞州区", "天童南路 首南中路 钱湖北路"),
    ("江苏省", "南京市", "鼓楼区", "中山北路 湖南路 北京西路"),
    ("江苏省", "苏州市", "姑苏区", "人民路 干将东路 平江路"),
    ("四川省", "成都市", "武侯区", "人民南路四段 科华北路 武侯祠大街"),
    ("湖北省", "武汉市", "武昌区", "中南路 徐东大街 武珞路"),
    ("湖南省", "长沙市", "岳麓区", "麓山南路 枫林一路 金星中路"),
    ("陕西省", "西安市", "雁塔区", "小寨东路 长安南路 科技路"),
    ("山东省", "青岛市", "市南区", "香港中路 山东路 闽江路"),
    ("福建省", "厦门市", "思明区", "湖滨南路 厦禾路 环岛东路"),
    ("辽宁省", "沈阳市", "和平区", "太原街 南京北街 青年大街"),
    ("河南省", "郑州市", "金水区", "花园路 农业路 经三路"),
    ("云南省", "昆明市", "五华区", "东风西路 人民中路 翠湖南路"),
]
REMARKS = [
    "老客户推荐",
    "周末联系,工作日不便接电话",
    "对花生过敏",
    '自称"省钱达人",常问优惠券',
    "喜欢线下活动\n优先寄送活动邀请",
    "需开企业发票",
    "生日当月送礼",
    "换过手机号",
]
LEVELS = ("普通会员", "银卡", "金卡", "钻石卡")
INTERESTS = ("美妆", "数码", "母婴", "运动", "旅行", "美食", "阅读", "宠物", "家居", "摄影")
CHANNELS = ("公众号", "小程序", "门店", "老友推荐", "直播间")
#: Goods and their price in fen.
GOODS = [
    ("龙井茶礼盒", 26_800), ("五常大米 5kg", 6_990), ("蓝牙耳机", 19_900), ("保温杯", 8_850), ("婴儿湿巾", 2_990),
    ("瑜伽垫", 11_900), ("护手霜", 3_980), ("智能手环", 24_900), ("机械键盘", 39_900), ("猫粮 2kg", 12_950),
    ("云南小粒咖啡", 5_680), ("羊绒围巾", 45_900), ("电饭煲", 32_900), ("儿童绘本", 4_550), ("登山背包", 27_990),
    ("防晒霜", 9_990), ("四件套床品", 29_900), ("阳澄湖大闸蟹券", 59_800), ("空气炸锅", 26_900), ("坚果礼包", 10_880),
]  # fmt: skip
KEYS = ("c_view", "c_view", "c_view", "c_cart", "c_cart", "c_buy", "c_buy", "c_register", "c_share", "c_sign_in")
OFFICIAL_ACCOUNT = "wx8f2c41d09ab7e635"
MINI_PROGRAM = "wx5b60e7a3c9d1284f"

T = TypeVar("T")


class Person(NamedTuple):
    """What the events need to know of a user."""

    third_id: str
    phone: str
    openid: str
    unionid: str


class Dice:
    """Draws that every Python makes alike."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        """A whole number from 0 to below `limit`, which is far below 2**53."""
        return int(self._random() * limit)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def some_of(self, choices: Sequence[T], most: int) -> list[T]:
        """One to `most` different ones, in the order of `choices`."""
        left = list(range(len(choices)))
        drawn = [left.pop(self.below(len(left))) for _ in range(1 + self.below(most))]
        return [choices[index] for index in sorted(drawn)]

    def happens(self, percent: int) -> bool:
        return self.below(100) < percent

    def letters(
        self, count: int, alphabet: str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789_-"
    ) -> str:
        return "".join(self.one_of(alphabet) for _ in range(count))


# --- users


def make_users() -> tuple[bytes, list[Person]]:
    """The CSV file with the bad rows in it, and the people of its good rows."""
    dice = Dice(SEED)
    people: list[Person] = []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for number in range(USERS):
        row, person = _user(dice, number)
        bad = BAD_USER_ROWS.get(number)
        if bad is None:
            people.append(person)
            writer.writerow(row)
        else:
            text.write(bad(row))
    return text.getvalue().encode(), people


def _user(dice: Dice, number: int) -> tuple[list[str], Person]:
    male = dice.happens(48)
    given = MALE if male else FEMALE
    name = dice.one_of(SURNAMES) + "".join(dice.one_of(given) for _ in range(1 if dice.happens(30) else 2))
    person = Person(
        third_id=f"U{100_001 + number}",
        phone=f"{dice.one_of(PREFIXES)}{dice.below(10**8):08}",
        openid="o" + dice.letters(27) if dice.happens(60) else "",
        unionid="o6_" + dice.letters(25) if dice.happens(25) else "",
    )
    sex = ("男" if male else "女") if dice.happens(95) else ""
    birthday = f"{1955 + dice.below(52)}-{1 + dice.below(12):02}-{1 + dice.below(28):02}" if dice.happens(80) else ""
    remark = dice.one_of(REMARKS) if dice.happens(15) else ""
    level = dice.one_of(LEVELS) if dice.happens(85) else ""
    interests = "|".join(dice.some_of(INTERESTS, most=4)) if dice.happens(70) else ""
    channel = dice.one_of(CHANNELS) if dice.happens(50) else ""
    return ["phone", *person, name, sex, _address(dice), birthday, remark, level, interests, channel], person


def _address(dice: Dice) -> str:
    province, city, district, roads = dice.one_of(PLACES)
    room = f"{1 + dice.below(20)}栋{1 + dice.below(28)}{1 + dice.below(4):02}室" if dice.happens(70) else ""
    return f"{province}{city}{district}{dice.one_of(roads.split())}{1 + dice.below(600)}号{room}"


def _with_sex(sex: str) -> Callable[[list[str]], str]:
    return lambda row: ",".join([*row[:6], sex, *row[7:9], "", *row[10:]]) + "\n"


#: The bad rows by their number from 0. None has a quoted cell, so that line and row stay one for whoever edits them.
BAD_USER_ROWS: dict[int, Callable[[list[str]], str]] = {
    411: _with_sex("M"),
    1203: lambda row: ",".join([*row[:7], "广东省深圳市南山区科技园路12号,3栋502室", *row[8:9], "", *row[10:]]) + "\n",
    1777: _with_sex("female"),
    2048: lambda row: ",".join(row[:8]) + "\n",
    2890: lambda row: ",".join([*row[:7], '"上海市浦东新区世纪大道"88号', *row[8:9], "", *row[10:]]) + "\n",
    3666: _with_sex("未知"),
    4321: lambda row: ",".join([*row[:9], "", *row[10:], "", "旧系统"]) + "\n",
}
BAD_USERS = len(BAD_USER_ROWS)


# --- events


def make_events(people: Sequence[Person]) -> bytes:
    """The JSON Lines file with the bad lines in it; the events are in order of time."""
    dice = Dice(SEED + 1)
    moments = sorted(START_MS + dice.below(SPAN_MS) for _ in range(EVENTS))
    lines: list[str] = []
    for number, moment in enumerate(moments):
        event = _event(dice, dice.one_of(people), moment)
        bad = BAD_EVENT_LINES.get(number)
        lines.append(_line(event) if bad is None else bad(event))
    return "".join(lines).encode()


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"


def _event(dice: Dice, person: Person, moment: int) -> dict[str, Any]:
    key = dice.one_of(KEYS)
    event: dict[str, Any] = {"identities": _identities(dice, person), "time": moment, "eventKey": key}
    if dice.happens(67):
        bits = sum(dice.below(2**32) << shift for shift in (0, 32, 64, 96))
        event["uuid"] = str(uuid.UUID(int=bits, version=4))
    event["eventargs"] = _arguments(dice, key)
    return event


def _identities(dice: Dice, person: Person) -> list[dict[str, Any]]:
    phone = {"identityType": "phone", "identityValue": person.phone}
    if not person.openid or dice.happens(40):
        return [phone]
    platform, mpid = dice.one_of((("gzh", OFFICIAL_ACCOUNT), ("contentminiapp", MINI_PROGRAM)))
    openid = {
        "identityType": "openid",
        "identityValue": person.openid,
        "platform": platform,
        "mpid": mpid,
        "isWeChatEcosystem": True,
    }
    return [openid, phone] if dice.happens(30) else [openid]


def _arguments(dice: Dice, key: str) -> dict[str, Any]:
    goods, fen = dice.one_of(GOODS)
    match key:
        case "c_register" | "c_sign_in":
            return {"c_channel": dice.one_of(CHANNELS)}
        case "c_buy" if dice.happens(30):
            items: list[dict[str, Any]] = [
                {"c_goods": name, "c_price": price / 100, "c_quantity": 1 + dice.below(3)}
                for name, price in dice.some_of(GOODS, most=3)
            ]
            total_fen = sum(round(item["c_price"] * 100) * item["c_quantity"] for item in items)
            return {"c_items": items, "c_total": total_fen / 100, "c_city": dice.one_of(PLACES)[1] or "北京市"}
        case "c_buy" | "c_cart":
            return {"c_goods": goods, "c_price": fen / 100, "c_quantity": 1 + dice.below(4)}
        case _:
            return {"c_goods": goods, "c_price": fen / 100, "c_seconds": 1 + dice.below(180)}


def _without_flag(event: dict[str, Any]) -> dict[str, Any]:
    app = {"identityType": "openid", "identityValue": "oInvented0000000000000000001", "mpid": OFFICIAL_ACCOUNT}
    return event | {"identities": [app]}


#: The bad lines by their number from 0.
BAD_EVENT_LINES: dict[int, Callable[[dict[str, Any]], str]] = {
    777: lambda event: _line(event | {"time": event["time"] // 1000}),
    2500: lambda event: _line(event | {"eventKey": ""}),
    5021: lambda event: _line(event | {"identities": []}),
    8192: lambda event: _line(_without_flag(event)),
    11_111: lambda event: _line(event)[:-40] + "\n",
    13_579: lambda event: _line(event | {"uuid": "order-" + "0" * 34}),
    16_000: lambda event: _line(event | {"event_name": "购买"}),
    19_001: lambda event: _line(event | {"time": "2025-04-10 12:00:00"}),
}
BAD_EVENTS = len(BAD_EVENT_LINES)


def main() -> None:
    """Write both files beside this script."""
    folder = Path(__file__).resolve().parent
    users, people = make_users()
    (folder / "users.csv").write_bytes(users)
    (folder / "events.jsonl").write_bytes(make_events(people))
    print(f"users.csv: {USERS} rows, {BAD_USERS} of them bad")
    print(f"events.jsonl: {EVENTS} lines, {BAD_EVENTS} of them bad")


if __name__ == "__main__":
    main()
