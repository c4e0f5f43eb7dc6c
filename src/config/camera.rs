//! `camera-config/*.toml`: one camera a file.

use super::document::{Document, Found, Section};
use super::error::{ConfigError, Fault, Place};
use super::private::{Given, read_password, read_text};
use super::site::{Site, whole_file};
use crate::domain::source::{Credentials, Driver, Source, Transport};
use crate::domain::{CameraClass, CameraNumber, FilmedArea, Filming, FilmingHours, Retention};
use std::path::{Path, PathBuf};
use url::Url;

const DEFAULT_RETENTION_DAYS: u32 = 30;
const NAME_LIMIT: usize = 100;
const TEXT_LIMIT: usize = 1000;
const URL_LIMIT: usize = 2000;
/// What the worker's libavformat may be pointed at. Never `file:`, `concat:` and their like: those read this machine.
const SCHEMES: [&str; 10] = ["rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp"];

/// A camera as configured.
#[derive(Clone, PartialEq, Debug)]
pub struct Camera {
    pub number: CameraNumber,
    pub name: String,
    /// Where it hangs, in words, as the notice says it.
    pub place: String,
    pub area: FilmedArea,
    pub class: CameraClass,
    /// Why it films (PIPA 25(1)).
    pub purpose: String,
    pub retention: Retention,
    /// When it films; always where there are none. An operating room's camera has none.
    pub hours: Option<FilmingHours>,
    /// Who answers for it, where that is not the site's own officer.
    pub owner: Option<String>,
    /// More text for the notice.
    pub notice: Option<String>,
    /// Whose consent, and how it was given. Always there for a non-public place.
    pub consent_basis: Option<String>,
    pub source: Source,
    /// The file it was read from.
    pub file: PathBuf,
}

impl Camera {
    /// When it films.
    pub fn filming(&self) -> Filming {
        match (self.class, &self.hours) {
            (CameraClass::OperatingRoom, _) => Filming::Operations,
            (CameraClass::PublicArea | CameraClass::NonPublic, Some(hours)) => Filming::Hours(hours.clone()),
            (CameraClass::PublicArea | CameraClass::NonPublic, None) => Filming::Always,
        }
    }

    /// Reads one file by itself, wherever it is: what only shows beside other cameras is not looked at.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(file: &Path, site: &Site) -> Result<Self, Vec<ConfigError>> {
        read_camera(file, site).map(|read| read.camera)
    }

    /// Whether everything but the file's name is the same.
    pub fn is_same(&self, other: &Camera) -> bool {
        let Camera {
            number,
            name,
            place,
            area,
            class,
            purpose,
            retention,
            hours,
            owner,
            notice,
            consent_basis,
            source,
            file: _,
        } = self;
        *number == other.number
            && *name == other.name
            && *place == other.place
            && *area == other.area
            && *class == other.class
            && *purpose == other.purpose
            && *retention == other.retention
            && *hours == other.hours
            && *owner == other.owner
            && *notice == other.notice
            && *consent_basis == other.consent_basis
            && *source == other.source
    }
}

/// A camera, and where its number stands, for errors that show only beside other cameras.
#[derive(Clone, Debug)]
pub(super) struct ReadCamera {
    pub camera: Camera,
    pub number_place: Place,
}

/// Reads one camera's file.
pub(super) fn read_camera(file: &Path, site: &Site) -> Result<ReadCamera, Vec<ConfigError>> {
    match read_text(file) {
        Ok(text) => parse_camera(file, &text, site),
        Err(fault) => Err(vec![whole_file(file, fault)]),
    }
}

pub(super) fn parse_camera(file: &Path, text: &str, site: &Site) -> Result<ReadCamera, Vec<ConfigError>> {
    let document = Document::new(file, text);
    let camera = document.root().and_then(|root| camera_of(&document, root, file, site));
    let errors = document.into_errors();
    match camera {
        Some(camera) if errors.is_empty() => Ok(camera),
        _ => Err(errors),
    }
}

/// `None` when a field without a default is missing or wrong. Whatever is wrong is noted in the document.
fn camera_of(document: &Document<'_>, mut root: Section<'_>, file: &Path, site: &Site) -> Option<ReadCamera> {
    let number = root.number("number", 1..=65_535, "(the camera's number on the site plan)");
    let number = root.require("number", "write the camera's number on the site plan", number);
    let name = root.line("name", NAME_LIMIT);
    let name = root.require("name", "write what people call the camera", name);
    let place = root.line("place", NAME_LIMIT);
    let place = root.require("place", "write where it hangs, as the notice says it", place);
    let area = root.choice::<FilmedArea>("area");
    let area = root.require("area", "write what the place is used for, like area = \"lobby\"", area);
    let class = root.choice::<CameraClass>("class");
    let class = root.require("class", "write \"public-area\", \"non-public\" or \"operating-room\"", class);
    let purpose = root.line("purpose", TEXT_LIMIT);
    let purpose = root.require("purpose", "write why it films, as the notice says it", purpose);
    let days = root.number("retention_days", 0..=3650, "days");
    let hours = root.line("hours", TEXT_LIMIT).and_then(|found| {
        let read = FilmingHours::parse(&found.value, site.time_zone.clone());
        read.map_err(|fault| document.refuse(&found.field, Fault::Hours(fault))).ok()
    });
    let owner = root.line("owner", NAME_LIMIT).map(|found| found.value);
    let notice = root.lines("notice", TEXT_LIMIT).map(|found| found.value);
    let consent_basis = root.lines("consent_basis", TEXT_LIMIT).map(|found| found.value);

    check_place(document, area.as_ref(), class.as_ref());
    if class.as_ref().is_some_and(|class| class.value == CameraClass::NonPublic) && !root.has("consent_basis") {
        root.refuse("consent_basis", Fault::ConsentMissing);
    }
    if class.as_ref().is_some_and(|class| class.value == CameraClass::OperatingRoom) && root.has("hours") {
        root.refuse("hours", Fault::HoursInOperatingRoom);
    }
    let retention = class.as_ref().and_then(|class| {
        if days.is_none() && root.has("retention_days") {
            return None;
        }
        let field = if root.has("retention_days") { root.named("retention_days") } else { class.field.clone() };
        let days = days.map_or(DEFAULT_RETENTION_DAYS, |found| found.value);
        site.retention(class.value, days).map_err(|fault| document.refuse(&field, fault)).ok()
    });
    let source = read_source(document, root.section("source"), site);
    root.finish();

    let number = number?;
    let number_place = document.place(&number.field);
    let number = CameraNumber::new(u16::try_from(number.value).ok()?)?;
    let address = source?;
    let camera = Camera {
        number,
        name: name?.value,
        place: place?.value,
        area: area?.value,
        class: class?.value,
        purpose: purpose?.value,
        retention: retention?,
        hours,
        owner,
        notice,
        consent_basis,
        source: Source {
            camera: number,
            url: address.url,
            driver: address.driver,
            transport: address.transport,
            credentials: address.credentials,
        },
        file: file.to_path_buf(),
    };
    Some(ReadCamera { camera, number_place })
}

/// What a place is used for and its legal class must agree.
fn check_place(document: &Document<'_>, area: Option<&Found<FilmedArea>>, class: Option<&Found<CameraClass>>) {
    if let Some(area) = area
        && area.value.is_forbidden()
    {
        document.refuse(&area.field, Fault::ForbiddenArea);
        return;
    }
    let (Some(area), Some(class)) = (area, class) else {
        return;
    };
    let operates = area.value == FilmedArea::OperatingRoom;
    match class.value {
        CameraClass::PublicArea if operates => document.refuse(&class.field, Fault::OperatingRoomAsPublic),
        CameraClass::OperatingRoom if !operates => document.refuse(&class.field, Fault::FloorOutsideOperatingRoom),
        CameraClass::PublicArea | CameraClass::NonPublic | CameraClass::OperatingRoom => {}
    }
}

/// A source that is not yet a camera's.
struct Address {
    url: Url,
    driver: Driver,
    transport: Transport,
    credentials: Option<Credentials>,
}

fn read_source(document: &Document<'_>, mut source: Section<'_>, site: &Site) -> Option<Address> {
    let url = source.line("url", URL_LIMIT);
    let url = source.require("url", "write the camera's address, like \"rtsp://192.0.2.7/stream1\"", url);
    let url = url.and_then(|found| match checked_url(&found.value) {
        Ok(url) => Some(Found { value: url, field: found.field }),
        Err(fault) => {
            document.refuse(&found.field, fault);
            None
        }
    });
    let driver = source.choice::<Driver>("driver");
    let transport = source.choice::<Transport>("transport");
    let username = source.line("username", NAME_LIMIT);
    let password_file = source.line("password_file", URL_LIMIT);
    let password_credential = source.line("password_credential", NAME_LIMIT);

    let driver_value = driver.as_ref().map_or(Driver::Retina, |found| found.value);
    let transport_value = transport.as_ref().map_or(Transport::Tcp, |found| found.value);
    let driver_is_known = driver.is_some() || !source.has("driver");
    if let Some(url) = &url
        && driver_is_known
    {
        check_scheme(document, url, driver_value, transport.as_ref());
    }
    let has_password = source.has("password_file") || source.has("password_credential");
    if source.has("username") != has_password {
        let missing = if source.has("username") { "password_file" } else { "username" };
        source.refuse(missing, Fault::HalfCredentials);
    }
    if source.has("password_file") && source.has("password_credential") {
        source.refuse("password_credential", Fault::TwoPasswords);
    }
    let password = match (password_file, password_credential) {
        (Some(file), None) => Some((site.dir.join(&file.value), file.field, Given::ByFile)),
        (None, Some(credential)) => credential_path(document, &credential, site.credentials_dir.as_deref())
            .map(|path| (path, credential.field, Given::ByService)),
        (None | Some(_), _) => None,
    };
    let credentials =
        username.zip(password).and_then(|(username, (path, field, given))| match read_password(&path, given) {
            Ok(mut password) => Some(Credentials::new(username.value, std::mem::take(&mut *password))),
            Err(why) => {
                document.refuse(&field, Fault::PasswordFile { path, why });
                None
            }
        });
    source.finish();
    Some(Address { url: url?.value, driver: driver_value, transport: transport_value, credentials })
}

/// Where the service manager put a credential of that name (systemd.exec(5), `LoadCredential=`).
fn credential_path(document: &Document<'_>, credential: &Found<String>, dir: Option<&Path>) -> Option<PathBuf> {
    let name = Path::new(&credential.value);
    let is_a_name = name.file_name() == Some(name.as_os_str());
    match dir {
        _ if !is_a_name => document.refuse(&credential.field, Fault::NoCredentialName),
        None => document.refuse(&credential.field, Fault::NoCredentials),
        Some(dir) => return Some(dir.join(name)),
    }
    None
}

/// An address that leads to another machine's stream and holds no secret.
fn checked_url(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(Fault::MalformedUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::CredentialsInUrl);
    }
    if !SCHEMES.contains(&url.scheme()) {
        return Err(Fault::UnknownScheme { known: &SCHEMES });
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Fault::UrlWithoutHost);
    }
    Ok(url)
}

fn check_scheme(document: &Document<'_>, url: &Found<Url>, driver: Driver, transport: Option<&Found<Transport>>) {
    if driver == Driver::Retina && url.value.scheme() != "rtsp" {
        document.refuse(&url.field, Fault::SchemeNeedsLibav);
    }
    if let Some(transport) = transport
        && transport.value == Transport::Udp
        && url.value.scheme() != "rtsp"
    {
        document.refuse(&transport.field, Fault::TransportWithoutRtsp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Pace, PasswordFault};
    use crate::domain::RetentionError;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    const GOOD: &str = r#"number = 7
name = "Lobby"
place = "ground floor, main door"
area = "lobby"
class = "public-area"
purpose = "crime prevention"

[source]
url = "rtsp://192.0.2.7/stream1"
"#;
    const SECRET: &str = "hunter2";

    /// What is replaced, by what, the error's line and column, its field, and words that its message has.
    type WrongField = (&'static str, &'static str, (usize, usize), &'static str, &'static [&'static str]);

    struct Fixture {
        _dir: tempfile::TempDir,
        site: Site,
    }

    fn fixture(pace: Pace) -> Fixture {
        let mine = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(mine).tempdir().unwrap();
        std::fs::write(dir.path().join("site.toml"), Site::template("Test")).unwrap();
        let password = dir.path().join("cam.password");
        std::fs::write(&password, format!("{SECRET}\n")).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let open = dir.path().join("open.password");
        std::fs::write(&open, SECRET).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
        let site = Site::load(dir.path(), pace).unwrap();
        Fixture { _dir: dir, site }
    }

    fn parse(text: &str, site: &Site) -> Result<Camera, Vec<ConfigError>> {
        parse_camera(Path::new("/c/lobby.toml"), text, site).map(|read| read.camera)
    }

    /// The only error that `GOOD` gives after `from` is replaced in it.
    fn only_error(from: &str, to: &str, site: &Site) -> ConfigError {
        assert!(GOOD.contains(from), "{from}");
        let errors = parse(&GOOD.replace(from, to), site).expect_err(to);
        assert_eq!(errors.len(), 1, "{to}: {errors:#?}");
        errors.into_iter().next().unwrap()
    }

    #[test]
    fn a_short_file_gets_the_documented_defaults() {
        let fixture = fixture(Pace::Real);
        let camera = parse(GOOD, &fixture.site).unwrap();
        assert_eq!(camera.number.get(), 7);
        assert_eq!(camera.name, "Lobby");
        assert_eq!(camera.place, "ground floor, main door");
        assert_eq!((camera.area, camera.class), (FilmedArea::Lobby, CameraClass::PublicArea));
        assert_eq!(camera.retention, Retention::Ceiling(Duration::from_secs(30 * 86_400)));
        assert_eq!((&camera.owner, &camera.notice, &camera.consent_basis), (&None, &None, &None));
        assert_eq!(camera.file, Path::new("/c/lobby.toml"));
        let Source { camera: number, url, driver, transport, credentials } = camera.source;
        assert_eq!(number.get(), 7);
        assert_eq!(url.as_str(), "rtsp://192.0.2.7/stream1");
        assert_eq!((driver, transport, credentials), (Driver::Retina, Transport::Tcp, None));
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let fixture = fixture(Pace::Real);
        let text = r#"number = 65535
name = "Server room"
place = "basement"
area = "office"
class = "non-public"
purpose = "intrusion"
retention_days = 7
owner = "Kim Minji"
notice = """Two
lines."""
consent_basis = "signed by all staff, 2026-03-02"
[source]
url = "rtsps://192.0.2.9:322/a?b=c"
driver = "libav"
transport = "tcp"
username = "viewer"
password_file = "cam.password"
"#;
        let camera = parse(text, &fixture.site).unwrap();
        assert_eq!(camera.retention, Retention::Ceiling(Duration::from_secs(7 * 86_400)));
        assert_eq!(camera.owner.as_deref(), Some("Kim Minji"));
        assert_eq!(camera.notice.as_deref(), Some("Two\nlines."));
        assert_eq!(camera.consent_basis.as_deref(), Some("signed by all staff, 2026-03-02"));
        assert_eq!(camera.source.driver, Driver::Libav);
        let wanted = Credentials::new("viewer", SECRET);
        assert!(camera.source.credentials.as_ref() == Some(&wanted));
        assert!(!format!("{camera:?}").contains(SECRET));
    }

    #[test]
    fn each_wrong_field_is_named_with_its_line_and_what_to_do() {
        let fixture = fixture(Pace::Real);
        let cases: &[WrongField] = &[
            ("number = 7", "number = 0", (1, 10), "number", &["from 1 to 65535"]),
            ("number = 7", "number = 65536", (1, 10), "number", &["from 1 to 65535"]),
            ("number = 7", "number = -1", (1, 10), "number", &["from 1 to 65535"]),
            ("number = 7", "number = \"7\"", (1, 10), "number", &["whole number", "string"]),
            ("number = 7\n", "", (1, 1), "number", &["missing", "site plan"]),
            ("\"Lobby\"", "\"  \"", (2, 8), "name", &["empty"]),
            ("\"Lobby\"", "\"a\\u0007b\"", (2, 8), "name", &["control"]),
            ("name = \"Lobby\"", "nmae = \"Lobby\"\nname = \"L\"", (2, 1), "nmae", &["no such field", "name, place"]),
            ("\"lobby\"", "\"kitchen\"", (4, 8), "area", &["one of lobby, corridor"]),
            ("\"lobby\"", "\"toilet\"", (4, 8), "area", &["PIPA, article 25(2)"]),
            ("\"lobby\"", "\"changing-room\"", (4, 8), "area", &["PIPA, article 25(2)"]),
            ("\"lobby\"", "\"operating-room\"", (5, 9), "class", &["operating room", "non-public"]),
            ("\"public-area\"", "\"operating-room\"", (5, 9), "class", &["area = \"operating-room\""]),
            ("\"public-area\"", "\"non-public\"", (1, 1), "consent_basis", &["missing", "consent"]),
            ("\n[source]", "retention_days = 31\n[source]", (7, 18), "retention_days", &["30 days at most"]),
            ("\n[source]", "retention_days = 0\n[source]", (7, 18), "retention_days", &["at least 1"]),
            ("\n[source]", "retention_days = 1.5\n[source]", (7, 18), "retention_days", &["whole number", "float"]),
            ("\n[source]", "hours = \"8-19\"\n[source]", (7, 9), "hours", &["mon-fri 08:00-19:30"]),
            ("[source]\nurl = \"rtsp://192.0.2.7/stream1\"\n", "", (1, 1), "source.url", &["missing", "rtsp://"]),
            ("url =", "uri =", (8, 1), "source.url", &["missing"]),
            ("rtsp:", "http:", (9, 7), "source.url", &["driver = \"libav\""]),
            ("rtsp:", "rtsps:", (9, 7), "source.url", &["driver = \"libav\""]),
            ("rtsp:", "file:", (9, 7), "source.url", &["must begin with one of rtsp, rtsps"]),
            ("rtsp://192.0.2.7", "192.0.2.7", (9, 7), "source.url", &["not an address"]),
            ("192.0.2.7", "192.0.2.7:99999", (9, 7), "source.url", &["not an address", "port"]),
            ("rtsp://192.0.2.7/stream1", "rtsp:/a", (9, 7), "source.url", &["no host"]),
            ("stream1\"", "a\"\ndriver = \"ffmpeg\"", (10, 10), "source.driver", &["retina, libav"]),
            ("stream1\"", "a\"\ntransport = \"tls\"", (10, 13), "source.transport", &["tcp, udp"]),
            ("stream1\"", "a\"\nusername = \"u\"", (8, 1), "source.password_file", &["go together"]),
            ("stream1\"", "a\"\npassword_file = \"cam.password\"", (8, 1), "source.username", &["go together"]),
            ("stream1\"", "a\"\npassword = \"hunter2\"", (10, 1), "source.password", &["password_file"]),
            ("[source]", "[[source]]", (8, 1), "source", &["a table", "array"]),
        ];
        for (from, to, (line, column), field, words) in cases {
            // Where one mistake leads to another error, the first in the text is looked at.
            let errors = parse(&GOOD.replace(from, to), &fixture.site).expect_err(to);
            let error = errors.iter().find(|error| error.field.as_deref() == Some(field));
            let error = error.unwrap_or_else(|| panic!("{to}: {errors:#?}"));
            let shown = error.to_string();
            assert_eq!(error.place, Some(Place { line: *line, column: *column }), "{shown}");
            assert!(shown.starts_with(&format!("/c/lobby.toml:{line}:{column}: {field}: ")), "{shown}");
            for word in *words {
                assert!(shown.contains(word), "{word} in {shown}");
            }
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_never_repeated() {
        let fixture = fixture(Pace::Real);
        for userinfo in ["admin:hunter2@", ":hunter2@", "hunter2@", "admin:hunter2@x@"] {
            let error = only_error("192.0.2.7", &format!("{userinfo}192.0.2.7"), &fixture.site);
            assert_eq!(error.fault, Fault::CredentialsInUrl);
            assert!(error.to_string().contains("password_file"), "{error}");
            assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
        }
    }

    proptest! {
        /// However the text around an address with a password is broken, no error shows the password.
        #[test]
        fn no_error_repeats_a_password(at in 0..200_usize, cut in 0..4_usize, junk in "[\\x00-\\x7f]{0,3}") {
            let fixture = fixture(Pace::Real);
            let mut text = GOOD.replace("192.0.2.7/", "admin:hunter2@192.0.2.7/");
            text.push_str("username = \"u\"\npassword = \"hunter2\"\npassword_file = \"open.password\"\n");
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            text.replace_range(at..end, &junk);
            for error in parse(&text, &fixture.site).err().unwrap_or_default() {
                let shown = format!("{error} {error:?}");
                // Half a password that became a field's name is not one any more.
                prop_assert!(!shown.contains(SECRET), "{}", shown);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let fixture = fixture(Pace::Real);
            prop_assert!(parse(&text, &fixture.site).is_err());
        }

        #[test]
        fn no_value_in_any_field_makes_it_panic(field in 0..12_usize, value in "[-+0-9a-z\"'\\[\\]{}=.,:/@# \n]{0,40}") {
            let fixture = fixture(Pace::Real);
            let fields = ["number", "name", "place", "area", "class", "purpose", "retention_days", "owner", "notice",
                "consent_basis", "source", "source.url"];
            let text = format!("{} = {value}\n", fields[field]);
            for error in parse(&text, &fixture.site).expect_err("nearly everything is missing") {
                prop_assert!(error.place.is_some_and(|place| place.line >= 1 && place.column >= 1));
            }
        }

        #[test]
        fn no_bytes_in_a_file_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let fixture = fixture(Pace::Real);
            let file = fixture.site.dir.join("garbage.toml");
            std::fs::write(&file, bytes).unwrap();
            prop_assert!(read_camera(&file, &fixture.site).is_err());
        }
    }

    #[test]
    fn all_errors_of_a_file_are_told_at_once_in_the_order_of_the_text() {
        let fixture = fixture(Pace::Real);
        let text = "number = 0\nname = 5\narea = \"toilet\"\nclass = \"x\"\ncolour = 1\n[source]\nurl = \"ftp://a/\"\n";
        let errors = parse(text, &fixture.site).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_deref().unwrap()).collect();
        assert_eq!(fields, ["place", "purpose", "number", "name", "area", "class", "colour", "source.url"]);
    }

    #[test]
    fn a_half_saved_file_is_not_toml_and_the_line_is_named() {
        let fixture = fixture(Pace::Real);
        let half = &GOOD[..GOOD.find("public").unwrap()];
        let errors = parse(half, &fixture.site).unwrap_err();
        assert!(matches!(&errors[0].fault, Fault::Syntax(_)), "{errors:?}");
        assert_eq!(errors[0].place.unwrap().line, 5);
        // Cut anywhere, it is refused: the address stands last.
        for end in (0..GOOD.len() - 4).filter(|end| GOOD.is_char_boundary(*end)) {
            parse(&GOOD[..end], &fixture.site).expect_err(&GOOD[..end]);
        }
    }

    #[test]
    fn tables_nested_without_end_are_refused() {
        let fixture = fixture(Pace::Real);
        for text in ["[".repeat(20_000), "{a=".repeat(20_000), "[[".repeat(9_000), "a.".repeat(20_000)] {
            let errors = parse(&format!("x = {text}"), &fixture.site).unwrap_err();
            assert!(errors.len() <= 20, "{}", errors.len());
        }
    }

    #[test]
    fn columns_are_counted_in_characters() {
        let fixture = fixture(Pace::Real);
        let error = only_error("name = \"Lobby\"", "name = { \"로비\" = 1 }", &fixture.site);
        assert_eq!(error.place, Some(Place { line: 2, column: 8 }));
        let text = GOOD.replace("url = ", "\"한글\" = 1\nurl = ");
        let errors = parse(&text, &fixture.site).unwrap_err();
        assert_eq!(
            (errors[0].place, errors[0].field.as_deref()),
            (Some(Place { line: 9, column: 1 }), Some("source.한글"))
        );
    }

    #[test]
    fn a_password_file_that_others_can_read_is_refused() {
        let fixture = fixture(Pace::Real);
        let with = |file: &str| format!("stream1\"\nusername = \"u\"\npassword_file = \"{file}\"");
        let error = only_error("stream1\"", &with("open.password"), &fixture.site);
        let Fault::PasswordFile { path, why } = &error.fault else { panic!("{error:?}") };
        assert_eq!(path, &fixture.site.dir.join("open.password"));
        assert_eq!(why, &PasswordFault::NotPrivate { mode: 0o644 });
        assert_eq!((error.place.unwrap().line, error.field.as_deref()), (11, Some("source.password_file")));
        assert!(error.to_string().contains("chmod 600"), "{error}");

        let error = only_error("stream1\"", &with("none"), &fixture.site);
        assert!(matches!(&error.fault, Fault::PasswordFile { why: PasswordFault::Unreadable(_), .. }));

        let absolute = fixture.site.dir.join("cam.password");
        let text = GOOD.replace("stream1\"", &with(absolute.to_str().unwrap()));
        assert!(parse(&text, &fixture.site).unwrap().source.credentials.is_some());
    }

    #[test]
    fn a_password_can_come_from_the_service_manager() {
        let mut fixture = fixture(Pace::Real);
        let with = |text: &str| format!("stream1\"\nusername = \"u\"\npassword_credential = \"{text}\"");
        let error = only_error("stream1\"", &with("lobby"), &fixture.site);
        assert_eq!((&error.fault, error.field.as_deref()), (&Fault::NoCredentials, Some("source.password_credential")));
        assert!(error.to_string().contains("LoadCredential="), "{error}");

        let dir = tempfile::tempdir().unwrap();
        fixture.site.credentials_dir = Some(dir.path().to_path_buf());
        let error = only_error("stream1\"", &with("lobby"), &fixture.site);
        assert!(matches!(&error.fault, Fault::PasswordFile { why: PasswordFault::Unreadable(_), .. }), "{error}");
        // As systemd gives it to a service that is another user's: owned by root, with an access list for the user.
        let file = dir.path().join("lobby");
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o440)).unwrap();
        let camera = parse(&GOOD.replace("stream1\"", &with("lobby")), &fixture.site).unwrap();
        let credentials = camera.source.credentials.as_ref().unwrap();
        assert_eq!(credentials.password.expose(), SECRET);
        assert!(!format!("{camera:?}").contains(SECRET));
        // As a file of its own it would not do.
        let as_file = format!("stream1\"\nusername = \"u\"\npassword_file = \"{}\"", file.display());
        let error = only_error("stream1\"", &as_file, &fixture.site);
        assert!(matches!(&error.fault, Fault::PasswordFile { why: PasswordFault::NotPrivate { .. }, .. }), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
        let error = only_error("stream1\"", &with("lobby"), &fixture.site);
        assert!(matches!(&error.fault, Fault::PasswordFile { why: PasswordFault::NotPrivate { .. }, .. }), "{error}");

        for wrong in ["../lobby", "/etc/shadow", "a/b", "..", "."] {
            assert_eq!(only_error("stream1\"", &with(wrong), &fixture.site).fault, Fault::NoCredentialName, "{wrong}");
        }
        let both = format!("{}\npassword_file = \"cam.password\"", with("lobby"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(only_error("stream1\"", &both, &fixture.site).fault, Fault::TwoPasswords);
    }

    #[test]
    fn an_operating_room_films_operations_and_has_no_hours() {
        let fixture = fixture(Pace::Real);
        let room = GOOD.replace("\"lobby\"", "\"operating-room\"").replace("\"public-area\"", "\"operating-room\"");
        assert_eq!(parse(&room, &fixture.site).unwrap().filming(), Filming::Operations);
        let with_hours = room.replace("\n[source]", "hours = \"mon-fri 08:00-19:30\"\n[source]");
        let errors = parse(&with_hours, &fixture.site).unwrap_err();
        assert_eq!((errors.len(), &errors[0].fault), (1, &Fault::HoursInOperatingRoom));
        assert_eq!(errors[0].field.as_deref(), Some("hours"));
        assert_eq!(parse(GOOD, &fixture.site).unwrap().filming(), Filming::Always);
        let lobby = GOOD.replace("\n[source]", "hours = \"mon-fri 08:00-19:30\"\n[source]");
        assert!(matches!(parse(&lobby, &fixture.site).unwrap().filming(), Filming::Hours(_)));
    }

    #[test]
    fn an_operating_room_is_kept_30_days_at_least() {
        let fixture = fixture(Pace::Real);
        let room = GOOD.replace("\"lobby\"", "\"operating-room\"").replace("\"public-area\"", "\"operating-room\"");
        let with = |days: u32| room.replace("\n[source]", &format!("retention_days = {days}\n[source]"));
        assert_eq!(parse(&room, &fixture.site).unwrap().retention, Retention::Floor(Duration::from_secs(30 * 86_400)));
        assert_eq!(
            parse(&with(60), &fixture.site).unwrap().retention,
            Retention::Floor(Duration::from_secs(60 * 86_400))
        );
        let errors = parse(&with(29), &fixture.site).unwrap_err();
        assert_eq!(errors[0].fault, Fault::Retention(RetentionError::BelowFloor { days: 29 }));
        assert!(errors[0].to_string().contains("article 38-2"), "{}", errors[0]);
    }

    #[test]
    fn a_demonstration_keeps_90_seconds_and_takes_no_operating_room() {
        let fixture = fixture(Pace::Demo);
        assert_eq!(parse(GOOD, &fixture.site).unwrap().retention, Retention::Ceiling(Duration::from_secs(90)));
        let room = GOOD.replace("\"lobby\"", "\"operating-room\"").replace("\"public-area\"", "\"operating-room\"");
        let errors = parse(&room, &fixture.site).unwrap_err();
        assert_eq!(errors[0].fault, Fault::FloorInDemo);
        assert!(errors[0].to_string().contains("without --demo"), "{}", errors[0]);
        // What the law does not allow is not allowed here either.
        let long = GOOD.replace("\n[source]", "retention_days = 31\n[source]");
        assert!(parse(&long, &fixture.site).is_err());
    }

    #[test]
    fn udp_carries_rtsp_alone() {
        let fixture = fixture(Pace::Real);
        let udp = GOOD.replace("stream1\"", "a\"\ntransport = \"udp\"");
        assert_eq!(parse(&udp, &fixture.site).unwrap().source.transport, Transport::Udp);
        let text = udp.replace("rtsp:", "http:").replace("[source]", "[source]\ndriver = \"libav\"");
        let errors = parse(&text, &fixture.site).unwrap_err();
        assert_eq!(errors[0].fault, Fault::TransportWithoutRtsp);
        assert_eq!(errors[0].field.as_deref(), Some("source.transport"));
    }
}
