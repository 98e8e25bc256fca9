//! The texts of all cards, which are part of the program.

/// Name and text of each card of these networks.
macro_rules! cards {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../models/", $name, "/model.toml")))),*]
    };
}

/// Each network that has a card, with the card's text.
pub(super) const CARDS: &[(&str, &str)] = cards![
    "resnet34",
    "resnet101",
    "resnet221",
    "resnet293",
    "df-resnet56",
    "df-resnet233",
    "gemini-df-resnet60",
    "gemini-df-resnet114",
    "gemini-df-resnet183",
    "ecapa-tdnn-glob-512",
    "ecapa-tdnn-glob-1024",
    "campplus",
    "eres2net34",
    "eres2net34-large",
    "res2net34",
    "redimnet-b0",
    "redimnet-b1",
    "redimnet-b2",
    "redimnet-b3",
    "redimnet-b4",
    "redimnet-b5",
    "redimnet-b6",
    "redimnet2-b0",
    "redimnet2-b1",
    "redimnet2-b2",
    "redimnet2-b3",
    "redimnet2-b4",
    "redimnet2-b5",
    "redimnet2-b6",
    "simam-resnet34",
    "simam-resnet100",
    "tdnn",
];
